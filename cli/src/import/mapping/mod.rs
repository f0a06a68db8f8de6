//! Mapping files: how the columns of an export become those that `tally import` reads.
//!
//! `spec` and `cell` are the parts of a mapping file, `rule` what its rules have in common, and `file` reads it;
//! `shipped` are the files that come with the program. `finder` finds the columns of the rules in a table, `plan`
//! is a rule with its columns, and `mapped` applies them row by row; `grouped` makes one row of an order of
//! several, `merged` one row of a customer of several, and `left_out` counts what gives no row.

mod cell;
mod decimal;
mod file;
mod finder;
mod grouped;
mod left_out;
mod mapped;
mod merged;
mod plan;
mod rule;
mod shipped;
mod spec;

#[cfg(test)]
mod tests;

pub(super) use file::{Mapping, SourceOptions, Table};
pub(super) use left_out::LeftOut;
