//! The first pass over a file: every row is checked, nothing is sent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use csv::StringRecord;

use super::{
    fields::Mistake, findings::BadRows, layout::ValueOptions, rows::Rows, server_state::ServerState,
    source::InputFile,
};
use crate::{error::CsvError, progress};

/// A file that has been read to its end.
pub(super) struct Checked<L> {
    pub(super) source: Arc<InputFile>,
    pub(super) layout: L,
    /// The number of rows that can be stored.
    pub(super) rows: u64,
}

/// What the first passes over both files have in common.
pub(super) struct FirstPass<'a> {
    pub(super) options: ValueOptions,
    pub(super) server: &'a ServerState,
    /// Whether customers.csv is imported as well.
    pub(super) has_customers: bool,
    pub(super) backfill: bool,
    /// Where bad rows are written to, if they are left out.
    pub(super) skip_bad: Option<PathBuf>,
}

impl FirstPass<'_> {
    /// Begins to read a file.
    pub(super) fn open(&self, source: &InputFile) -> Result<CheckedRows, CsvError> {
        let bar = progress::begin(&format!("checking {} (bytes)", source.name().display()), source.bytes());
        let table = source.rows(&bar)?;
        let bad = match &self.skip_bad {
            Some(file) => BadRows::write_to(file, table.header())?,
            None => BadRows::default(),
        };
        Ok(CheckedRows { table, bad })
    }
}

/// The rows of a file, sorted into good and bad ones.
pub(super) struct CheckedRows {
    pub(super) table: Box<dyn Rows>,
    pub(super) bad: BadRows,
}

impl CheckedRows {
    /// Reads all rows. `check` gets each with its line. Returns the number of good ones.
    pub(super) fn read(
        &mut self,
        source: &InputFile,
        mut check: impl FnMut(&StringRecord, u64) -> Result<(), Mistake>,
    ) -> Result<u64, CsvError> {
        let file: &Path = source.name();
        let mut record = StringRecord::new();
        let mut good = 0;
        loop {
            match self.table.next(&mut record) {
                Ok(None) => break,
                Ok(Some(line)) => match check(&record, line) {
                    Ok(()) => good += 1,
                    Err(mistake) => {
                        self.bad.add_mistake(mistake, (file, line), self.table.header(), &record)?;
                    }
                },
                Err(error) if error.line.is_some() => self.bad.add(error, &record)?,
                Err(error) => return Err(error),
            }
        }
        self.bad.finish()?;
        Ok(good)
    }
}
