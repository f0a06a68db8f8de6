//! `tally worklist`: whom to turn to, what was handed out, and whether it helped.

mod command;
mod effect;
mod episodes;
mod list;
mod names;
mod outcome;
mod publish;

pub(crate) use command::run;
