//! `tally models`: the list, the card of a model, how models perform, and which one serves.

mod card;
mod champion;
mod command;
mod list;
mod monitoring;

pub(crate) use command::run;
