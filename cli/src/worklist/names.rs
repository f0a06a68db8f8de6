//! Names of kinds, causes and outcomes as the options and the settings take them (`at_risk`, `falling_use`,
//! `not_reached`), and the places of a day.

use tally_proto::v1::{Cause, Outcome, WorkKind};

use crate::{
    args::WorkKindArg,
    output::{DASH, count, counted},
};

/// The numbers of kinds in the contract.
pub(super) fn numbers(kinds: &[WorkKindArg]) -> Vec<i32> {
    kinds.iter().map(|kind| kind.number()).collect()
}

/// A kind.
pub(super) fn kind(number: i32) -> String {
    name(WorkKind::try_from(number).unwrap_or_default().as_str_name(), "WORK_KIND_")
}

/// A cause, or a dash where none is known.
pub(super) fn cause(number: i32) -> String {
    match Cause::try_from(number) {
        Ok(Cause::Unknown | Cause::Unspecified) | Err(_) => DASH.to_owned(),
        Ok(cause) => name(cause.as_str_name(), "CAUSE_"),
    }
}

/// An outcome; None while nothing is reported.
pub(super) fn outcome(number: i32) -> Option<String> {
    match Outcome::try_from(number) {
        Ok(Outcome::Unspecified) | Err(_) => None,
        Ok(outcome) => Some(name(outcome.as_str_name(), "OUTCOME_")),
    }
}

fn name(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase()
}

/// How many places of a day are left; None without a capacity.
pub(super) fn places(used: Option<i64>, left: Option<i64>) -> Option<String> {
    let (used, left) = (used?, left?);
    let all = counted(used + left, "place", "places");
    Some(match left {
        0 if used == 1 => "the 1 place of the day is used".to_owned(),
        0 => format!("all {all} of the day are used"),
        1 => format!("1 of {all} of the day is left"),
        left => format!("{} of {all} of the day are left", count(left)),
    })
}
