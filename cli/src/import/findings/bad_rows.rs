//! Rows that cannot be stored.

use std::{
    io,
    path::{Path, PathBuf},
};

use csv::{StringRecord, Writer, WriterBuilder};
use tally_terminal::NewFile;

use crate::{
    error::CsvError,
    import::fields::{Mistake, RowDoubt},
};

/// Most bad rows that are shown.
const SHOWN: usize = 20;

/// The bad rows of a file.
#[derive(Default)]
pub(in crate::import) struct BadRows {
    pub(in crate::import) count: u64,
    /// The first ones.
    pub(in crate::import) first: Vec<CsvError>,
    pub(in crate::import) placeholder_ids: u64,
    pub(in crate::import) negative_purchases: u64,
    /// Where they are written to.
    pub(in crate::import) file: Option<PathBuf>,
    /// The columns of their rows.
    header: StringRecord,
    writer: Option<Writer<NewFile>>,
}

impl BadRows {
    /// The columns of the file of bad rows besides those of the row. An import ignores them.
    pub(in crate::import) const COLUMNS: [&str; 3] = ["bad_line", "bad_column", "bad_reason"];

    /// Bad rows that are written to a file, which appears when there is one and all are written.
    pub(in crate::import) fn write_to(file: &Path, header: &StringRecord) -> Self {
        Self { file: Some(file.to_owned()), header: header.clone(), ..Self::default() }
    }

    /// The rows that the doubts are about.
    pub(in crate::import) const fn doubtful(&self) -> u64 {
        self.placeholder_ids + self.negative_purchases
    }

    /// How many are not shown.
    pub(in crate::import) const fn not_shown(&self) -> u64 {
        self.count - self.first.len() as u64
    }

    pub(in crate::import) fn add_mistake(
        &mut self,
        mistake: Mistake,
        place: (&Path, u64),
        header: &StringRecord,
        record: &StringRecord,
    ) -> Result<(), CsvError> {
        match mistake.doubt {
            Some(RowDoubt::PlaceholderId) => self.placeholder_ids += 1,
            Some(RowDoubt::NegativePurchase) => self.negative_purchases += 1,
            None => {}
        }
        self.add(mistake.into_error(place, header), record)
    }

    /// Adds a row that is bad for what the error says. Fails if it cannot be written.
    pub(in crate::import) fn add(&mut self, error: CsvError, record: &StringRecord) -> Result<(), CsvError> {
        self.count += 1;
        if let Some(file) = &self.file {
            let cannot_write = |problem: io::Error| not_written(file, &problem);
            let writer = match &mut self.writer {
                Some(writer) => writer,
                None => self.writer.insert(begun(file, &self.header).map_err(cannot_write)?),
            };
            let line = error.line.unwrap_or_default().to_string();
            let column = error.column.clone().unwrap_or_default();
            let row = [line.as_str(), &column, &error.message].into_iter().chain(record);
            writer.write_record(row).map_err(|problem| cannot_write(problem.into()))?;
        }
        if self.first.len() < SHOWN {
            self.first.push(error);
        }
        Ok(())
    }

    /// Writes the file of the bad rows.
    pub(in crate::import) fn finish(&mut self) -> Result<(), CsvError> {
        let (Some(writer), Some(file)) = (self.writer.take(), &self.file) else { return Ok(()) };
        let cannot_write = |problem: io::Error| not_written(file, &problem);
        let written = writer.into_inner().map_err(|problem| cannot_write(problem.into_error()))?;
        written.finish().map_err(cannot_write)
    }
}

/// Begins the file of bad rows.
fn begun(file: &Path, header: &StringRecord) -> io::Result<Writer<NewFile>> {
    let mut writer = WriterBuilder::new().flexible(true).from_writer(NewFile::create(file)?);
    writer.write_record(BadRows::COLUMNS.into_iter().chain(header))?;
    Ok(writer)
}

fn not_written(file: &Path, problem: &io::Error) -> CsvError {
    CsvError::of_file(file, format!("cannot be written: {problem}"))
}

impl Mistake {
    /// The error of a row, which is in the file and the line of `place`.
    pub(in crate::import) fn into_error(self, (file, line): (&Path, u64), header: &StringRecord) -> CsvError {
        CsvError {
            file: file.to_owned(),
            line: Some(line),
            column: header.get(self.column).map(str::to_owned),
            message: self.message,
        }
    }
}
