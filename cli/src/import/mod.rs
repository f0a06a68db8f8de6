//! `tally import`: reads both files to the end before anything is sent, then reads them again and sends
//! them in batches, in constant memory.
//!
//! `source` reads files as tables of [`rows`], `mapping` makes those of exports of other products, `columns` finds
//! columns, and a `layout` turns rows into messages, with the values of `fields`, `times` and `amounts`. The first pass
//! (`check`) collects `findings`, by which `decision` lets the import go on; `batches` groups the messages of the
//! second; `customers` and `interactions` have both passes of a file each.

mod amounts;
mod batches;
mod check;
mod columns;
mod command;
mod customers;
mod decision;
mod fields;
mod findings;
mod interactions;
mod layout;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the import command does not take mappings yet")
)]
mod mapping;
mod rows;
mod server_state;
mod source;
mod times;
mod totals;
mod upload;

pub(crate) use command::run;
