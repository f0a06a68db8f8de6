//! `tally import`: reads both files to the end before anything is sent, then reads them again and sends
//! them in batches, in constant memory.
//!
//! `source` reads files as tables of `rows`, `mapping` makes those of exports of other products, `inputs` are the
//! tables that the command line names. `columns` finds
//! columns, and a `layout` turns rows into messages, with the values of `fields`, `times` and `amounts`. The first pass
//! (`check`) collects `findings`, by which `decision` lets the import go on; `batches` groups the messages of the
//! second; `customers` and `interactions` have both passes of a file each, and wait with `retries` for a server that is
//! restarted or busy.

mod amounts;
mod batches;
mod check;
mod columns;
mod command;
mod contents;
mod currencies;
mod customers;
mod decision;
mod fields;
mod findings;
mod inputs;
mod interactions;
mod layout;
mod mapping;
mod retries;
mod rows;
mod server_state;
mod source;
mod times;
mod totals;
mod upload;

pub(crate) use command::run;
pub use contents::{FileContents, read_customers, read_interactions};
