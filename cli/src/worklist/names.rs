//! Names of kinds, causes and outcomes as people read them: `at risk`, `falling use`, `not reached`.

use tally_proto::v1::{Cause, Outcome, WorkKind};

use crate::{args::WorkKindArg, output::DASH};

/// The numbers of kinds in the contract.
pub(super) fn numbers(kinds: &[WorkKindArg]) -> Vec<i32> {
    kinds.iter().map(|kind| kind.number()).collect()
}

/// A kind.
pub(super) fn kind(number: i32) -> String {
    readable(WorkKind::try_from(number).unwrap_or_default().as_str_name(), "WORK_KIND_")
}

/// A cause, or a dash where none is known.
pub(super) fn cause(number: i32) -> String {
    match Cause::try_from(number) {
        Ok(Cause::Unknown | Cause::Unspecified) | Err(_) => DASH.to_owned(),
        Ok(cause) => readable(cause.as_str_name(), "CAUSE_"),
    }
}

/// An outcome; None while nothing is reported.
pub(super) fn outcome(number: i32) -> Option<String> {
    match Outcome::try_from(number) {
        Ok(Outcome::Unspecified) | Err(_) => None,
        Ok(outcome) => Some(readable(outcome.as_str_name(), "OUTCOME_")),
    }
}

fn readable(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', " ")
}
