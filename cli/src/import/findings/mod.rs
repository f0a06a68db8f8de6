//! What the files contain, and what of it is doubtful, found before anything is stored.
//!
//! `columns`, `ids`, `keys` and `kinds` are statistics of a pass over a file, in memory that does not grow with it
//! beyond a limit; `bad_rows` collects the rows that cannot be stored. `report` has the results, `text` shows them
//! to people, and `json` to programs.

mod bad_rows;
mod columns;
mod ids;
mod json;
mod keys;
mod kinds;
mod report;
mod text;

pub(super) use bad_rows::BadRows;
pub(super) use columns::{ColumnStatistics, ValueType};
pub(super) use ids::{CustomerIds, IdPlace};
pub(super) use keys::InteractionKeys;
pub(super) use kinds::KindStatistics;
pub(super) use report::{ColumnReport, Finding, Findings, TableReport};
