//! The report as text, short enough for a terminal.

use std::ops::Range;

use comfy_table::{CellAlignment, Table, presets::NOTHING};
use tally_model::{
    counted,
    evaluation::metrics::{Metrics, ReliabilityBin},
};
use tally_terminal::printable;

use super::{
    assessment::{failed_checks, slices},
    coefficients::Coefficient,
    recipe::fitted_as,
};
use crate::lifecycle::{eligible, training::TrainingResult};

/// The number of columns listed, the strongest ones.
const STRONGEST: usize = 10;

/// Renders the report as text, without a line break at its end. On a terminal, whose `columns` are given, lines of names
/// are cut to its width.
#[must_use]
pub fn render(result: &TrainingResult, columns: Option<usize>) -> String {
    let mut strongest = strongest(result);
    if let Some(columns) = columns {
        let lines: Vec<String> = strongest.lines().map(|line| tally_terminal::cut(line, columns)).collect();
        strongest = lines.join("\n");
    }
    let parts = [
        summary(result) + &lead_ages(result),
        holdout(result),
        slices(&result.assessment.slices),
        reliability(result),
        strongest,
        failed_checks(&result.assessment.failed_checks),
        verdict(result),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn summary(result: &TrainingResult) -> String {
    let (artifact, card) = (&result.artifact, &result.artifact.card);
    format!(
        "{}: {} within {}, trained on {} of {}, {:.1} % with the outcome\n\
         about {}\n\
         snapshots from {} to {}, {} of {}\n\
         fitted as {}",
        result.name,
        result.name.target,
        counted(artifact.outcome.horizon_days, "day", "days"),
        counted(card.rows, "snapshot", "snapshots"),
        counted(card.customers, "customer", "customers"),
        100.0 * card.positives as f64 / card.rows as f64,
        eligible(&artifact.outcome),
        card.from,
        card.to,
        counted(artifact.weights.len(), "column", "columns"),
        counted(artifact.encoder.features.len(), "feature", "features"),
        fitted_as(&card.chosen),
    )
}

/// A line on how many leads are older than those learned from; none for churn.
fn lead_ages(result: &TrainingResult) -> String {
    let Some(leads) = result.artifact.card.leads else { return String::new() };
    format!(
        "\nlearned from leads of up to {}; {:.1} % of the {} to be scored are older",
        counted(leads.oldest_days, "day", "days"),
        100.0 * leads.older_share(),
        counted(leads.leads, "lead", "leads")
    )
}

fn holdout(result: &TrainingResult) -> String {
    let card = &result.artifact.card;
    let mut table = plain_table();
    table.set_header(["", "AUC", "PR-AUC", "log loss", "Brier", "ECE", "lift at 10 %"]);
    table.add_row(metrics_row("evaluated model", &card.holdout));
    for (name, metrics) in &card.baselines {
        table.add_row(metrics_row(name, metrics));
    }
    align_right(&mut table, 1..7);
    let (split, metrics) = (card.split.name(), &card.holdout);
    let rows = counted(metrics.rows, "row", "rows");
    format!(
        "holdout ({split} split, {rows}, {} with the outcome), by the evaluated model, which has not seen it\n{table}",
        metrics.positives
    )
}

fn metrics_row(name: &str, metrics: &Metrics) -> [String; 7] {
    [
        name.to_owned(),
        format!("{:.3}", metrics.auc),
        format!("{:.3}", metrics.pr_auc),
        format!("{:.4}", metrics.log_loss),
        format!("{:.4}", metrics.brier),
        format!("{:.3}", metrics.ece),
        format!("{:.2}", metrics.lift_at_10_percent),
    ]
}

fn reliability(result: &TrainingResult) -> String {
    let bins = &result.artifact.card.reliability;
    let row = |name: &str, value: fn(&ReliabilityBin) -> f64| {
        let values = bins.iter().map(|bin| format!("{:.2}", value(bin)));
        std::iter::once(name.to_owned()).chain(values).collect::<Vec<_>>()
    };
    let mut table = plain_table();
    table.add_row(row("predicted", |bin| bin.predicted));
    table.add_row(row("observed", |bin| bin.observed));
    align_right(&mut table, 1..bins.len() + 1);
    format!("reliability of the evaluated model on the holdout\n{table}")
}

fn strongest(result: &TrainingResult) -> String {
    let all = Coefficient::by_size(&result.artifact);
    let mut table = plain_table();
    for Coefficient { feature, column, coefficient } in all.iter().take(STRONGEST) {
        table.add_row([format!("{coefficient:+.3}"), printable(feature), printable(column)]);
    }
    let columns = counted(all.len(), "column", "columns");
    format!("strongest of {columns} (log-odds; for numbers, per standard deviation)\n{table}")
}

fn verdict(result: &TrainingResult) -> String {
    let state = if result.verdict.promoted { "now serves" } else { "stored, does not serve" };
    format!("{} {state}: {}", result.name, result.verdict.reason)
}

pub(super) fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

pub(super) fn align_right(table: &mut Table, columns: Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
