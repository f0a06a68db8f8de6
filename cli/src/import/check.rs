//! The first pass over a file: every row is checked, nothing is sent.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use csv::StringRecord;
use tally_proto::v1::OnConflict;
use tally_terminal::progress;

use super::{
    fields::Mistake,
    findings::{BadRows, Findings},
    inputs::InputTable,
    layout::ValueOptions,
    mapping::LeftOut,
    rows::Rows,
    server_state::ServerState,
};
use crate::{
    error::CsvError,
    output::{counted, printable},
};

/// A file that has been read to its end.
pub(super) struct Checked<L> {
    pub(super) source: InputTable,
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
    pub(super) on_conflict: OnConflict,
    /// Where bad rows are written to, if they are left out.
    pub(super) skip_bad: Option<PathBuf>,
}

impl FirstPass<'_> {
    /// Begins to read a file.
    pub(super) fn open(&self, source: &InputTable) -> Result<CheckedRows, CsvError> {
        let bar = progress::begin(&format!("checking {} (bytes)", source.name().display()), source.bytes());
        let left_out = Arc::default();
        let table = source.rows(&bar, &left_out)?;
        let bad = match &self.skip_bad {
            Some(file) => BadRows::write_to(file, table.header()),
            None => BadRows::default(),
        };
        Ok(CheckedRows { table, bad, left_out })
    }
}

/// The rows of a file, sorted into good and bad ones.
pub(super) struct CheckedRows {
    pub(super) table: Box<dyn Rows>,
    pub(super) bad: BadRows,
    left_out: Arc<LeftOut>,
}

impl CheckedRows {
    /// Reads all rows. `check` gets each with its line. Returns the number of good ones.
    pub(super) fn read(
        &mut self,
        source: &InputTable,
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

    /// Notes which rows of the file the mapping makes no `items` of, and why.
    pub(super) fn note_left_out(&self, source: &InputTable, items: &str, findings: &mut Findings) {
        for (reason, count) in self.left_out.reasons() {
            let text = format!(
                "{}: {} no {items}, since {}",
                source.name().display(),
                counted(count, "row gives", "rows give"),
                printable(&reason)
            );
            findings.note("ROWS_LEFT_OUT", count, text);
        }
    }
}
