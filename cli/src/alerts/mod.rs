//! `tally alerts`: what the rules of early warning found.

mod command;
mod list;
mod watch;

pub(crate) use command::run;
