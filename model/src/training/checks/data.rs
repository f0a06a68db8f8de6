//! Whether the data can be learned from: checks of what was known at the moment of the training.

use super::{CheckInput, FailedCheck};
use crate::{
    counted,
    features::profile::UnknownName,
    history::kind,
    spec::{ChurnEvent, Target},
    time::Time,
};

/// More snapshots than this share have a wrong label when nothing happened until the end of their horizons.
const SILENT_SHARE: f64 = 0.05;

/// Nothing, or nothing that decides the outcome, happened for long before the moment of the training.
pub(super) fn silence(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let artifact = &input.trained.artifact;
    let silence = input.profile.activity().silence(artifact.as_of, artifact.outcome.decided_by())?;
    let is_silent = |as_of: &&Time| artifact.outcome.horizon_end(**as_of) > silence.since;
    let (silent, rows) = (input.rows.as_of.iter().filter(is_silent).count(), input.rows.len());
    let message = format!(
        "{}; the horizons of {silent} of {} reach beyond that, so that their labels say nothing",
        silence.message(artifact.as_of),
        counted(rows, "snapshot", "snapshots")
    );
    let blocking = silent as f64 > SILENT_SHARE * rows as f64;
    Some(FailedCheck { blocking, ..FailedCheck::blocking("SILENCE", message, silence.remedy()) })
}

/// The spec lists names that do not occur, so that their features say nothing.
pub(super) fn unknown_names(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let unknown = input.profile.unknown_names(&input.trained.artifact.spec);
    if unknown.is_empty() {
        return None;
    }
    let names: Vec<String> =
        unknown.iter().map(|UnknownName { key, name }| format!("`{name}` ({key})")).collect();
    let message = format!("the spec lists names that do not occur in the data: {}", names.join(", "));
    let remedy = "correct them in the spec, or leave them out; spellings and cases differ";
    Some(FailedCheck::remark("UNKNOWN_NAMES", message, remedy.to_owned()))
}

/// Customers cancel, but the model takes those for lost who do not buy.
pub(super) fn cancel_is_not_the_event(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let outcome = &input.trained.artifact.outcome;
    let cancels = input.profile.kinds().get(kind::CANCEL).copied().unwrap_or(0);
    if outcome.target != Target::Churn || outcome.event != ChurnEvent::Inactivity || cancels == 0 {
        return None;
    }
    let message = format!(
        "{} stored, but the model predicts inactivity: no purchase within {}",
        counted(cancels, "`cancel` interaction is", "`cancel` interactions are"),
        counted(outcome.horizon_days, "day", "days")
    );
    let remedy = "if customers leave by cancelling, set `event = \"cancel\"` under [churn] in the spec";
    Some(FailedCheck::remark("CANCEL_IS_NOT_THE_EVENT", message, remedy.to_owned()))
}
