//! The card as a whole, and its facts.

use tally_proto::v1::{BgNbd, LeadCoverage, Model, Study};

use super::{
    assessment::{failed_checks, slices},
    effects::{coefficients, effects},
    evaluation::{holdout, reliability},
    recipe::fitted_as,
    selection::selection,
    stack::stack,
};
use crate::output::{count, counted, datetime, number, printable, share, target_name};

const SERVES: &str = "that serves";
const EVALUATED: &str = "that was evaluated";
/// Follows the candidates of the model that serves when the evaluated choice is kept.
const KEPT: &str =
    "The model that serves is fitted as the one that was evaluated: nothing above is significantly better";
/// The lines of a fact stand below each other.
const BELOW: &str = "\n                ";

/// The card, as a text of several paragraphs; of a damaged model, what is wrong with it.
pub(in crate::models) fn card(model: &Model) -> String {
    if !model.problem.is_empty() {
        return format!(
            "{}, stored {} by {}\n{}",
            printable(&model.name),
            datetime(model.create_time.as_ref()),
            printable(&model.created_by),
            printable(&model.problem)
        );
    }
    let mut parts = vec![facts(model)];
    if !model.failed_checks.is_empty() {
        parts.push(failed_checks(&model.failed_checks));
    }
    parts.push(holdout(model));
    if !model.slices.is_empty() {
        parts.push(slices(&model.slices));
    }
    if !model.reliability.is_empty() {
        parts.push(reliability(model));
    }
    parts.extend(choices(model));
    parts.extend(model.bg_nbd.as_ref().map(purchases));
    if !model.effects.is_empty() {
        parts.push(effects(&model.effects));
    }
    parts.push(coefficients(model));
    parts.push(spec(model));
    parts.join("\n\n")
}

/// What the model that serves and the one that was evaluated were chosen from.
fn choices(model: &Model) -> impl Iterator<Item = String> {
    let own = model.chosen.iter().flat_map(|study| {
        let outcome = match model.evaluated.as_ref().is_some_and(|evaluated| is_same(study, evaluated)) {
            true => Some(KEPT.to_owned()),
            false => stack(study, SERVES),
        };
        selection(study, SERVES).into_iter().chain(outcome)
    });
    let of_evaluated = |study| selection(study, EVALUATED).into_iter().chain(stack(study, EVALUATED));
    own.chain(model.evaluated.iter().flat_map(of_evaluated))
}

/// Whether two selections ended with the same recipe, or with the same stack.
fn is_same(study: &Study, other: &Study) -> bool {
    (&study.recipe, &study.stack) == (&other.recipe, &other.stack)
}

fn facts(model: &Model) -> String {
    let champion = if model.champion { ", the champion" } else { "" };
    let facts = [
        ("predicts", format!("{} within {}", target_name(model.target()), days(model.horizon_days))),
        ("about", printable(&model.eligible)),
        ("data up to", datetime(model.as_of_time.as_ref())),
        ("trained on", trained_on(model)),
        ("stored", format!("{} by {}", datetime(model.create_time.as_ref()), printable(&model.created_by))),
        ("fitted as", fitted_as(model.chosen.as_ref())),
        ("evaluated as", fitted_as(model.evaluated.as_ref())),
        ("features", format!("{} (SHA-256)", printable(&model.schema_hash))),
        (
            "artifact",
            format!(
                "{} (SHA-256), {}",
                printable(&model.artifact_hash),
                counted(model.artifact_bytes, "byte", "bytes")
            ),
        ),
    ];
    let difference = model.log_odds_difference.map(|rms| {
        let fact = format!("by {} in log-odds (RMS) from the one that was evaluated", number(rms));
        ("differs", fact)
    });
    let leads = model.lead_coverage.map(|leads| ("leads", lead_coverage(&leads)));
    let lines: Vec<String> = facts
        .into_iter()
        .chain(difference)
        .chain(leads)
        .map(|(name, fact)| format!("  {name:<13} {}", fact.replace('\n', BELOW)))
        .collect();
    format!("{}{champion}\n{}", printable(&model.name), lines.join("\n"))
}

fn trained_on(model: &Model) -> String {
    let positives = share(model.positives, model.rows);
    let snapshots = counted(model.rows, "snapshot", "snapshots");
    format!("{snapshots}, {} with the outcome ({positives})", count(model.positives))
}

fn days(number: i32) -> String {
    counted(number, "day", "days")
}

fn lead_coverage(leads: &LeadCoverage) -> String {
    format!(
        "learned from up to {} old; {} of {} to be scored are older",
        days(leads.oldest_days),
        share(leads.older, leads.leads),
        counted(leads.leads, "lead", "leads")
    )
}

fn purchases(model: &BgNbd) -> String {
    let state = if model.converged {
        "converged".to_owned()
    } else {
        format!("not the maximum of the likelihood: {}", printable(&model.problem))
    };
    format!(
        "Purchases of {} (BG/NBD, in weeks): r {:.4}, alpha {:.4}, a {:.4}, b {:.4}, log-likelihood {:.2}; {state}",
        counted(model.customers, "buyer", "buyers"),
        model.r,
        model.alpha,
        model.a,
        model.b,
        model.log_likelihood
    )
}

/// The spec, line by line.
fn spec(model: &Model) -> String {
    let lines: Vec<String> = model.spec.lines().map(|line| printable(&format!("  {line}"))).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    format!("Spec\n{}", lines.join("\n"))
}
