//! What the training found out about the model: the checks that it fails, and its holdout by groups.

use tally_proto::v1::{FailedCheck, HoldoutSlice};

use crate::output::{count, number, percent, printable, table};

/// A paragraph for each failed check.
pub(super) fn failed_checks(failed: &[FailedCheck]) -> String {
    let paragraph = |check: &FailedCheck| {
        let what = if check.blocking { "Not fit to serve" } else { "Note" };
        let (code, message, remedy) =
            (printable(&check.code), printable(&check.message), printable(&check.remedy));
        format!("{what} ({code}): {message}\n  {remedy}")
    };
    failed.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// A table for each way to group the holdout.
pub(super) fn slices(slices: &[HoldoutSlice]) -> String {
    let of_one = |groups: &[HoldoutSlice]| {
        let by = groups.first().map(|slice| format!("by {}", printable(&slice.by))).unwrap_or_default();
        let header = [&by, "snapshots", "outcomes", "AUC", "predicted", "happened"];
        table(&header, &[1, 2, 3, 4, 5], groups.iter().map(row))
    };
    let tables: Vec<String> = slices.chunk_by(|a, b| a.by == b.by).map(of_one).collect();
    format!("The holdout by groups, as the evaluated model predicts it\n{}", tables.join("\n\n"))
}

fn row(slice: &HoldoutSlice) -> Vec<String> {
    vec![
        printable(&slice.group),
        count(slice.rows),
        count(slice.positives),
        number(slice.auc.unwrap_or(f64::NAN)),
        percent(slice.mean_probability),
        // Unlike a probability, an observed rate may be 0 or 1.
        format!("{:.1} %", slice.observed_rate * 100.0),
    ]
}
