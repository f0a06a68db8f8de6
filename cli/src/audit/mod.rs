//! `tally audit`: shows the audit log, and checks that it is whole.

mod command;
mod list;
mod verify;

pub(crate) use command::run;
