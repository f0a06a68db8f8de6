//! `tally predictions`: lists stored predictions, recomputes one, or compares two.

mod command;
mod comparison;
mod list;
mod replay;

pub(crate) use command::run;
