//! The model card: all that a person needs to judge a model.

use prost_types::{Value, value::Kind};
use tally_proto::v1::{BgNbd, EffectCurve, EffectPoint, Metrics, Model, Recipe, Study};

use super::render::{count, moment, number, percent, plain, share, table, target};

/// How many coefficients a card shows.
const COEFFICIENTS: usize = 15;
/// Features whose effect it shows, and points of each curve.
const EFFECTS: usize = 10;
const POINTS: usize = 5;

/// The card, as a text of several paragraphs.
pub(super) fn card(model: &Model) -> String {
    if !model.problem.is_empty() {
        return format!(
            "{}, stored {} by {}\n{}",
            plain(&model.name),
            moment(model.create_time.as_ref()),
            plain(&model.created_by),
            plain(&model.problem)
        );
    }
    let mut parts = vec![facts(model), against_rivals(model)];
    if !model.reliability.is_empty() {
        parts.push(reliability(model));
    }
    parts.extend([(&model.chosen, "serves"), (&model.evaluated, "was judged")].into_iter().filter_map(
        |(tried, what)| {
            tried.as_ref().filter(|tried| !tried.candidates.is_empty()).map(|tried| study(tried, what))
        },
    ));
    parts.extend(model.bg_nbd.as_ref().map(purchases));
    if !model.effects.is_empty() {
        parts.push(effects(&model.effects));
    }
    parts.push(coefficients(model));
    // The spec keeps its lines.
    let spec: Vec<String> = model.spec.lines().map(|line| plain(&format!("  {line}"))).collect();
    let spec: Vec<&str> = spec.iter().map(|line| line.trim_end()).collect();
    parts.push(format!("Spec\n{}", spec.join("\n")));
    parts.join("\n\n")
}

fn facts(model: &Model) -> String {
    let champion = if model.champion { ", the champion" } else { "" };
    let positives = share(model.positives, model.rows);
    let facts = [
        ("foretells", format!("{} within {} days", target(model.target()), model.horizon_days)),
        ("data up to", moment(model.as_of_time.as_ref())),
        (
            "learned from",
            format!(
                "{} snapshots, {} with the outcome ({positives})",
                count(model.rows),
                count(model.positives)
            ),
        ),
        ("stored", format!("{} by {}", moment(model.create_time.as_ref()), plain(&model.created_by))),
        ("fitted as", fitted(model.chosen.as_ref())),
        ("judged as", fitted(model.evaluated.as_ref())),
        ("features", format!("{} (SHA-256)", plain(&model.schema_hash))),
        (
            "artifact",
            format!("{} (SHA-256), {} bytes", plain(&model.artifact_hash), count(model.artifact_bytes)),
        ),
    ];
    let lines: Vec<String> = facts.iter().map(|(name, fact)| format!("  {name:<13} {fact}")).collect();
    format!("{}{champion}\n{}", plain(&model.name), lines.join("\n"))
}

fn against_rivals(model: &Model) -> String {
    let row = |name: &str, metrics: &Metrics| {
        let figures = [
            metrics.auc,
            metrics.pr_auc,
            metrics.log_loss,
            metrics.brier,
            metrics.ece,
            metrics.lift_at_10_percent,
        ];
        let mut row = vec![plain(name)];
        row.extend(figures.map(number));
        row
    };
    let holdout = model.holdout.unwrap_or_default();
    let mut rows = vec![row(&model.name, &holdout)];
    // Without a recalibration there is no difference.
    let before = model.uncalibrated_holdout.filter(|before| *before != holdout);
    rows.extend(before.map(|before| row("before recalibration", &before)));
    rows.extend(model.baselines.iter().map(|b| row(&b.name, &b.metrics.unwrap_or_default())));
    let header = ["", "AUC", "PR AUC", "log loss", "Brier", "ECE", "lift at 10 %"];
    format!(
        "On the holdout ({} split, {} snapshots, {} with the outcome)\n{}",
        plain(&model.split),
        count(holdout.rows),
        count(holdout.positives),
        table(&header, &[1, 2, 3, 4, 5, 6], rows)
    )
}

fn reliability(model: &Model) -> String {
    let bins = model.reliability.iter();
    let rows = bins.map(|bin| vec![percent(bin.predicted), share_observed(bin.observed), count(bin.rows)]);
    format!(
        "What was predicted and what happened\n{}",
        table(&["predicted", "happened", "snapshots"], &[0, 1, 2], rows)
    )
}

/// Unlike a probability, what happened may be nothing or everything.
fn share_observed(observed: f64) -> String {
    format!("{:.1} %", observed * 100.0)
}

/// A way to fit, in words.
fn fitted(study: Option<&Study>) -> String {
    let study = study.cloned().unwrap_or_default();
    let recipe = study.recipe.unwrap_or_default();
    let mut words = vec![plain(&recipe.form)];
    if recipe.pairs > 0 {
        words.push(format!("{} pairs crossed", recipe.pairs));
    }
    if recipe.feature_fraction < 1.0 {
        words.push(format!("the most important {} of the features", kept(&recipe)));
    }
    words.extend(recipe.lookback_days.map(|days| format!("the last {days} days")));
    words.push(format!("penalty {}", recipe.penalty));
    words.push(match study.calibration.as_str() {
        "" => "not recalibrated".to_owned(),
        name => format!("recalibrated ({})", plain(name)),
    });
    words.join(", ")
}

fn kept(recipe: &Recipe) -> String {
    format!("{:.0} %", 100.0 * recipe.feature_fraction)
}

/// What was tried; the chosen way is marked.
fn study(study: &Study, what: &str) -> String {
    let is_chosen = |recipe: &Option<Recipe>| *recipe == study.recipe;
    let chosen = study.candidates.iter().rposition(|candidate| is_chosen(&candidate.recipe));
    let rows = study.candidates.iter().enumerate().map(|(n, candidate)| {
        let recipe = candidate.recipe.clone().unwrap_or_default();
        vec![
            if chosen == Some(n) { "*" } else { "" }.to_owned(),
            plain(&recipe.form),
            recipe.pairs.to_string(),
            kept(&recipe),
            recipe.lookback_days.map_or_else(|| "all".to_owned(), |days| format!("{days} days")),
            recipe.penalty.to_string(),
            number(candidate.log_loss),
            format!("{:+.4}", candidate.excess),
            number(candidate.standard_error),
        ]
    });
    let header =
        ["", "form", "pairs", "features", "reach", "penalty", "log loss", "excess", "± standard error"];
    let rows = table(&header, &[2, 3, 4, 5, 6, 7, 8], rows);
    let validation = match study.validation.as_str() {
        "temporal" => "later than those fitted to",
        _ => "of other customers than those fitted to",
    };
    format!("How it was chosen what {what} (*), on snapshots {validation}\n{rows}")
}

fn purchases(model: &BgNbd) -> String {
    let state = if model.converged {
        "converged".to_owned()
    } else {
        format!("not the maximum of the likelihood: {}", plain(&model.problem))
    };
    format!(
        "Purchases of {} buyers (BG/NBD, in weeks): r {:.4}, alpha {:.4}, a {:.4}, b {:.4}, log-likelihood {:.2}; {state}",
        count(model.customers),
        model.r,
        model.alpha,
        model.a,
        model.b,
        model.log_likelihood
    )
}

/// The curves that rise or fall most.
fn effects(curves: &[EffectCurve]) -> String {
    let span = |curve: &EffectCurve| {
        let ends = curve.points.iter().map(|point| point.log_odds);
        ends.clone().fold(f64::MIN, f64::max) - ends.fold(f64::MAX, f64::min)
    };
    let mut widest: Vec<&EffectCurve> = curves.iter().filter(|curve| !curve.points.is_empty()).collect();
    widest.sort_by(|a, b| span(b).total_cmp(&span(a)));
    let rows = widest.iter().take(EFFECTS).map(|curve| {
        let mut row = vec![plain(&curve.feature)];
        row.extend(
            few(&curve.points).map(|point| format!("{} → {:+.2}", value(&point.value), point.log_odds)),
        );
        row
    });
    format!(
        "What values add to the log-odds of an average customer, the {} of {} features that do most\n{}",
        widest.len().min(EFFECTS),
        curves.len(),
        table(&["feature", "value → log-odds"], &[], rows)
    )
}

/// A few points of a curve: of numbers from the least to the greatest, and missing; of levels the first.
fn few(points: &[EffectPoint]) -> impl Iterator<Item = &EffectPoint> {
    let is_number = |point: &&EffectPoint| matches!(kind(&point.value), Some(Kind::NumberValue(_)));
    let numbers = points.iter().take_while(is_number).count();
    let last = numbers.saturating_sub(1);
    let mut shown: Vec<usize> =
        (0..POINTS.min(numbers)).map(|n| n * last / (POINTS.min(numbers) - 1).max(1)).collect();
    shown.extend((numbers..points.len()).take(POINTS));
    shown.into_iter().map(|n| &points[n])
}

fn kind(value: &Option<Value>) -> Option<&Kind> {
    value.as_ref()?.kind.as_ref()
}

fn value(value: &Option<Value>) -> String {
    match kind(value) {
        // A count needs no places, a share needs some.
        Some(Kind::NumberValue(x)) if x.fract() == 0.0 || x.abs() >= 100.0 => format!("{x:.0}"),
        Some(Kind::NumberValue(x)) => format!("{x:.2}"),
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        Some(Kind::StringValue(level)) => plain(level),
        _ => "missing".to_owned(),
    }
}

fn coefficients(model: &Model) -> String {
    let mut strongest: Vec<_> = model.coefficients.iter().collect();
    strongest.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    let rows = strongest.iter().take(COEFFICIENTS).map(|c| {
        vec![plain(&c.feature), plain(&c.column), format!("{:+.4}", c.coefficient), number(c.standard_error)]
    });
    let header = ["feature", "column", "coefficient", "standard error"];
    let text = format!(
        "Coefficients, the strongest first (log-odds per standard deviation; intercept {:+.4})\n{}",
        model.intercept,
        table(&header, &[2, 3], rows)
    );
    match strongest.len().saturating_sub(COEFFICIENTS) {
        0 => text,
        more => format!("{text}\nand {more} more; --json has them all"),
    }
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::{Baseline, Candidate, Coefficient, ReliabilityBin, Target};

    use super::*;

    #[test]
    fn a_card_tells_what_matters() {
        let coefficient = |n: i32| Coefficient {
            feature: format!("feature{n}"),
            column: "value".to_owned(),
            coefficient: f64::from(n) * if n % 2 == 0 { 0.1 } else { -0.1 },
            standard_error: 0.01,
        };
        let metrics = Metrics { rows: 3_362, positives: 1_456, auc: 0.8123, ..Metrics::default() };
        let recipe = |form: &str, pairs| Recipe {
            form: form.to_owned(),
            pairs,
            penalty: 30.0,
            feature_fraction: 0.5,
            lookback_days: None,
        };
        let tried = |form, pairs, log_loss| Candidate {
            recipe: Some(recipe(form, pairs)),
            log_loss,
            excess: -0.03,
            standard_error: 0.004,
        };
        let curve = |feature: &str, points: &[(Option<f64>, f64)]| EffectCurve {
            feature: feature.to_owned(),
            points: points
                .iter()
                .map(|(x, log_odds)| EffectPoint {
                    value: Some(Value { kind: Some(x.map_or(Kind::NullValue(0), Kind::NumberValue)) }),
                    log_odds: *log_odds,
                })
                .collect(),
        };
        let flat = curve("flat", &[(Some(0.25), 0.01), (None, 0.0)]);
        let points: Vec<_> = (0..21).map(|n| (Some(f64::from(n)), f64::from(n) * 0.1)).collect();
        let steep = curve("steep", &[points.as_slice(), &[(None, -0.5)]].concat());
        let text = card(&Model {
            name: "churn/7".to_owned(),
            target: Target::Churn.into(),
            champion: true,
            rows: 12_345,
            positives: 4_321,
            holdout: Some(metrics),
            baselines: vec![Baseline { name: "recency".to_owned(), metrics: Some(metrics) }],
            reliability: vec![ReliabilityBin { rows: 336, predicted: 0.1, observed: 0.0 }],
            coefficients: (1..=20).map(coefficient).collect(),
            uncalibrated_holdout: Some(Metrics { auc: 0.7987, ..metrics }),
            chosen: Some(Study {
                recipe: Some(recipe("steps", 10)),
                calibration: "platt".to_owned(),
                validation: "temporal".to_owned(),
                candidates: vec![tried("log", 0, 0.61), tried("steps", 10, 0.58)],
            }),
            effects: vec![flat, steep],
            bg_nbd: Some(BgNbd {
                r: 0.243,
                customers: 2_357,
                problem: "no end".to_owned(),
                ..Default::default()
            }),
            spec: "[churn]\nhorizon_days = 90\n".to_owned(),
            ..Model::default()
        });
        assert!(text.starts_with("churn/7, the champion\n"), "{text}");
        assert!(text.contains("12,345 snapshots, 4,321 with the outcome (35.0 %)"), "{text}");
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let has =
            |wanted: &str| assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {text}");
        has("recency 0.8123");
        has("before recalibration 0.7987");
        has(
            "fitted as steps, 10 pairs crossed, the most important 50 % of the features, penalty 30, recalibrated (platt)",
        );
        has("log 0 50 % all 30 0.6100 -0.0300 0.0040");
        has("* steps 10 50 % all 30 0.5800");
        has("Purchases of 2,357 buyers (BG/NBD, in weeks): r 0.2430");
        assert!(text.contains("log-likelihood 0.00; not the maximum of the likelihood: no end"), "{text}");
        has("steep 0 → +0.00 5 → +0.50 10 → +1.00 15 → +1.50 20 → +2.00 missing → -0.50");
        has("flat 0.25 → +0.01 missing → +0.00");
        let strongest =
            text.lines().find(|line| line.starts_with("feature") && !line.starts_with("feature "));
        assert!(
            strongest.is_some_and(|line| line.starts_with("feature20  value") && line.contains("+2.0000")),
            "{text}"
        );
        assert!(text.contains("and 5 more; --json has them all"), "{text}");
        assert!(text.ends_with("Spec\n  [churn]\n  horizon_days = 90"), "{text}");
    }
}
