//! Files as tables: what is compressed, in another encoding or a workbook is read as if it were plain CSV.
//!
//! `file` opens a file or standard input, of which `spool` makes a file. `compression` and `encoding` turn its bytes
//! into UTF-8, `scan` looks at the whole text once, and `delimited`, `sheet` and `json_lines` read
//! rows.

mod compression;
mod delimited;
mod encoding;
mod file;
mod json_lines;
mod scan;
mod sheet;
mod spool;

#[cfg(test)]
mod tests;

pub(super) use file::{FileOptions, InputFile};
