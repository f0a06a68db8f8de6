//! `tally interactions`: lists and retracts the interactions of a customer.

mod command;
mod list;

pub(crate) use command::run;
