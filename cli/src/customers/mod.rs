//! `tally customers`: shows, exports, erases and merges customers.

mod command;
mod confirm;
mod record;

pub(crate) use command::run;
