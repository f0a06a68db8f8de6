//! How the evaluated model does on the holdout.

use tally_proto::v1::{Metrics, Model};

use crate::output::{count, counted, number, percent, printable, table};

/// The metrics of the model that was evaluated, before its recalibration, and of the baselines. The model that serves is
/// fitted again, to all snapshots.
pub(super) fn holdout(model: &Model) -> String {
    let holdout = model.holdout.unwrap_or_default();
    let mut rows = vec![row("evaluated model", &holdout)];
    // Without a recalibration there is no difference.
    let before = model.uncalibrated_holdout.filter(|before| *before != holdout);
    rows.extend(before.map(|before| row("before recalibration", &before)));
    rows.extend(model.baselines.iter().map(|b| row(&b.name, &b.metrics.unwrap_or_default())));
    let header = ["", "AUC", "PR AUC", "log loss", "Brier", "ECE", "lift at 10 %"];
    format!(
        "On the holdout ({} split, {}, {} with the outcome), by the evaluated model, which has not seen it\n{}",
        printable(&model.split),
        counted(holdout.rows, "snapshot", "snapshots"),
        count(holdout.positives),
        table(&header, &[1, 2, 3, 4, 5, 6], rows)
    )
}

fn row(name: &str, metrics: &Metrics) -> Vec<String> {
    let figures = [
        metrics.auc,
        metrics.pr_auc,
        metrics.log_loss,
        metrics.brier,
        metrics.ece,
        metrics.lift_at_10_percent,
    ];
    std::iter::once(printable(name)).chain(figures.map(number)).collect()
}

/// Predicted probabilities and observed shares, by bins.
pub(super) fn reliability(model: &Model) -> String {
    let rows = model.reliability.iter().map(|bin| {
        // Unlike a probability, an observed share may be 0 or 1.
        vec![percent(bin.predicted), format!("{:.1} %", bin.observed * 100.0), count(bin.rows)]
    });
    format!(
        "What the evaluated model predicted and what happened\n{}",
        table(&["predicted", "happened", "snapshots"], &[0, 1, 2], rows)
    )
}
