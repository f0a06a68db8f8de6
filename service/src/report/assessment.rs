//! The checks that a model fails and its holdout by groups, as text.

use tally_model::training::{
    checks::FailedCheck,
    slices::{HoldoutSlice, MONTH, grouped},
};

use tally_terminal::printable;

use super::text::{align_right, plain_table};

/// Months that are listed, the latest ones.
const MONTHS: usize = 6;

/// A paragraph for each failed check.
pub(super) fn failed_checks(failed: &[FailedCheck]) -> String {
    let paragraph = |check: &FailedCheck| {
        let FailedCheck { code, blocking, message, remedy } = check;
        let what = if *blocking { "not fit to serve" } else { "note" };
        format!("{what} ({code}): {}\n  {}", printable(message), printable(remedy))
    };
    failed.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// A table for each way to group the holdout.
pub(super) fn slices(slices: &[HoldoutSlice]) -> String {
    let table = |groups: &[HoldoutSlice]| {
        let mut table = plain_table();
        let by = groups.first().map_or("", |slice| slice.by.as_str());
        table.set_header([
            &printable(&format!("by {by}")),
            "rows",
            "outcomes",
            "AUC",
            "predicted",
            "observed",
        ]);
        // Months go on for ever; the latest say most.
        let first = if by == MONTH { groups.len().saturating_sub(MONTHS) } else { 0 };
        let left_out = match first {
            0 => String::new(),
            _ => format!("\n the last {MONTHS} of {} months", groups.len()),
        };
        groups[first..].iter().for_each(|slice| {
            table.add_row(row(slice));
        });
        align_right(&mut table, 1..6);
        table.to_string() + &left_out
    };
    grouped(slices).map(table).collect::<Vec<_>>().join("\n\n")
}

fn row(slice: &HoldoutSlice) -> [String; 6] {
    [
        printable(&slice.group),
        slice.rows.to_string(),
        slice.positives.to_string(),
        slice.auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.3}")),
        format!("{:.3}", slice.mean_probability),
        format!("{:.3}", slice.observed_rate),
    ]
}
