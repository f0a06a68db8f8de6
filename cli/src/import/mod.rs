//! `tally import`: reads both files to the end before anything is sent, then reads them again and sends
//! them in batches, in constant memory.
//!
//! `reader` reads rows, `columns` finds columns, and a `layout` turns rows into messages; `batches` groups
//! those; `customers` and `interactions` send them.

mod batches;
mod check;
mod columns;
mod command;
mod customers;
mod fields;
mod interactions;
mod layout;
mod reader;
mod upload;

pub(crate) use command::run;
