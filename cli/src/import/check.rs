//! The first pass over a file: every row is parsed, nothing is sent.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{layout::Layout, reader::CsvReader};
use crate::{environment::system_clock, error::CsvError, progress};

/// A file without errors.
pub(super) struct Checked<L> {
    pub(super) path: PathBuf,
    pub(super) layout: L,
    /// The number of rows.
    pub(super) rows: u64,
}

/// Reads a file to the end, and returns its layout or its first error.
pub(super) fn check<L: Layout>(path: &Path) -> Result<Checked<L>, CsvError> {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let bar = progress::begin(&format!("checking {} (bytes)", path.display()), bytes);
    let mut rows = CsvReader::open(path, &bar)?;
    let layout = L::new(rows.header(), system_clock());
    let mut layout = layout.map_err(|message| CsvError::of_file(path, message))?;
    let mut count = 0;
    while let Some((_, ())) = rows.next(|record| {
        layout.learn(record);
        layout.item(record).map(drop)
    })? {
        count += 1;
    }
    Ok(Checked { path: path.to_owned(), layout, rows: count })
}
