//! The training report: readable in one glance on a terminal, complete as JSON, with plots as a page.

pub mod html;
mod plots;

use std::fmt::Write;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use serde::Serialize;
use tally_model::{
    artifact::Study,
    evaluation::metrics::{Metrics, ReliabilityBin},
    features::bg_nbd,
};

use crate::lifecycle::training::{TrainingResult, Verdict};

/// How many of the strongest columns the terminal shows.
const SHOWN: usize = 10;

/// The report as it is written to `--report-out`.
#[derive(Serialize)]
struct Report<'a> {
    model: String,
    target: &'a str,
    as_of_time: String,
    horizon_days: u32,
    rows: usize,
    positives: usize,
    customers: usize,
    from_time: String,
    to_time: String,
    split: &'a str,
    seed: u64,
    penalty: f64,
    holdout: &'a Metrics,
    baselines: std::collections::BTreeMap<&'a str, &'a Metrics>,
    reliability: &'a [ReliabilityBin],
    uncalibrated_holdout: &'a Metrics,
    uncalibrated_reliability: &'a [ReliabilityBin],
    /// How this model was fitted, and how the one that was judged on the holdout.
    chosen: &'a Study,
    evaluated: &'a Study,
    rows_within_reach: usize,
    bg_nbd: Option<&'a bg_nbd::Fitted>,
    verdict: &'a Verdict,
    intercept: f64,
    coefficients: Vec<Column>,
    spec: String,
    schema_hash: String,
}

/// One column of the design row.
#[derive(Serialize)]
struct Column {
    feature: String,
    column: String,
    coefficient: f64,
}

fn columns(outcome: &TrainingResult) -> Vec<Column> {
    let named = outcome.artifact.encoder.column_names().into_iter();
    let mut all: Vec<Column> = named
        .zip(&outcome.artifact.weights)
        .map(|((feature, column), coefficient)| Column { feature, column, coefficient: *coefficient })
        .collect();
    all.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
    all
}

/// The report as JSON, indented.
///
/// # Errors
/// When a figure is not finite, which JSON cannot hold.
pub fn json(outcome: &TrainingResult) -> serde_json::Result<String> {
    let (artifact, card) = (&outcome.artifact, &outcome.artifact.card);
    serde_json::to_string_pretty(&Report {
        model: outcome.name.to_string(),
        target: outcome.name.target.name(),
        as_of_time: artifact.as_of.to_string(),
        horizon_days: artifact.outcome.horizon_days,
        rows: card.rows,
        positives: card.positives,
        customers: card.customers,
        from_time: card.from.to_string(),
        to_time: card.to.to_string(),
        split: card.split.name(),
        seed: card.seed,
        penalty: artifact.penalty,
        holdout: &card.holdout,
        baselines: card.baselines.iter().map(|(name, metrics)| (name.as_str(), metrics)).collect(),
        reliability: &card.reliability,
        uncalibrated_holdout: &card.uncalibrated,
        uncalibrated_reliability: &card.uncalibrated_reliability,
        chosen: &card.chosen,
        evaluated: &card.evaluated,
        rows_within_reach: card.rows_within_reach,
        bg_nbd: card.bg_nbd.as_ref(),
        verdict: &outcome.verdict,
        intercept: artifact.intercept,
        coefficients: columns(outcome),
        spec: artifact.spec.to_string(),
        schema_hash: artifact.schema_hash(),
    })
}

/// The report for people.
#[must_use]
pub fn text(outcome: &TrainingResult) -> String {
    let (artifact, card) = (&outcome.artifact, &outcome.artifact.card);
    let share = 100.0 * card.positives as f64 / card.rows as f64;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}: {} within {} days, learned from {} snapshots of {} customers, {:.1} % with the outcome\n\
         snapshots from {} to {}, {} columns of {} features, penalty {}\n",
        outcome.name,
        outcome.name.target,
        artifact.outcome.horizon_days,
        card.rows,
        card.customers,
        share,
        card.from,
        card.to,
        artifact.weights.len(),
        artifact.encoder.features.len(),
        artifact.penalty,
    );
    let _ = writeln!(
        out,
        "holdout ({} split, {} rows, {} with the outcome)\n{}\n",
        card.split.name(),
        card.holdout.rows,
        card.holdout.positives,
        metrics_table(outcome)
    );
    let _ = writeln!(out, "reliability on the holdout\n{}\n", reliability_table(&card.reliability));
    let all = columns(outcome);
    let _ = writeln!(out, "strongest of {} columns (log-odds; numbers a standard deviation)", all.len());
    let mut table = plain();
    for column in all.iter().take(SHOWN) {
        table.add_row([format!("{:+.3}", column.coefficient), column.feature.clone(), column.column.clone()]);
    }
    let _ = writeln!(out, "{table}\n");
    let state = if outcome.verdict.promoted { "now serves" } else { "stored, does not serve" };
    let _ = write!(out, "{} {state}: {}", outcome.name, outcome.verdict.reason);
    out
}

fn metrics_table(outcome: &TrainingResult) -> Table {
    let card = &outcome.artifact.card;
    let mut table = plain();
    table.set_header(["", "AUC", "PR-AUC", "log loss", "Brier", "ECE", "lift at 10 %"]);
    let model = [(outcome.name.to_string(), &card.holdout)].into_iter();
    for (name, m) in model.chain(card.baselines.iter().map(|(name, m)| (name.clone(), m))) {
        table.add_row([
            name,
            format!("{:.3}", m.auc),
            format!("{:.3}", m.pr_auc),
            format!("{:.4}", m.log_loss),
            format!("{:.4}", m.brier),
            format!("{:.3}", m.ece),
            format!("{:.2}", m.lift_at_10_percent),
        ]);
    }
    right(&mut table, 1..7);
    table
}

fn reliability_table(bins: &[ReliabilityBin]) -> Table {
    let mut table = plain();
    let row = |name: &str, value: &dyn Fn(&ReliabilityBin) -> f64| {
        std::iter::once(name.to_owned())
            .chain(bins.iter().map(|bin| format!("{:.2}", value(bin))))
            .collect::<Vec<_>>()
    };
    table.add_row(row("predicted", &|bin| bin.predicted));
    table.add_row(row("observed", &|bin| bin.observed));
    right(&mut table, 1..bins.len() + 1);
    table
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
