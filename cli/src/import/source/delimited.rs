//! Rows of text, each with the line number that an editor shows for it.

use std::{
    io::{self, Read},
    path::{Path, PathBuf},
};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use tally_proto::values::trimmed;

use super::scan::TextShape;
use crate::{error::CsvError, import::rows::Rows};

/// The rows of a text in UTF-8.
pub(super) struct DelimitedRows {
    file: PathBuf,
    reader: Reader<Box<dyn Read + Send>>,
    header: StringRecord,
    /// Lines before the header.
    skipped: u64,
    /// 1 where rows end with CR LF: the reader stops after the CR, so its line number is one too low.
    lag: u64,
    /// Whether a quote is probably left open somewhere.
    loose_quote: bool,
}

impl DelimitedRows {
    pub(super) fn new(file: &Path, text: Box<dyn Read + Send>, shape: &TextShape) -> Result<Self, CsvError> {
        let mut text: Box<dyn Read + Send> = if shape.cr { Box::new(LineFeeds(text)) } else { text };
        if shape.sep_line {
            skip_line(&mut text)
                .map_err(|error| CsvError::of_file(file, format!("cannot be read: {error}")))?;
        }
        // Flexible: rows of another length are refused in `next`, with the right line number.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(shape.delimiter)
            .buffer_capacity(1 << 16)
            .from_reader(text);
        let skipped = u64::from(shape.sep_line);
        let (file, header, loose_quote) = (file.to_owned(), StringRecord::new(), shape.loose_quote.is_some());
        let mut rows = Self { file, reader, header, skipped, lag: 0, loose_quote };
        let mut header = StringRecord::new();
        rows.reader.read_record(&mut header).map_err(|error| rows.error(error))?;
        if rows.reader.position().line() == 1 + line_breaks(&header) {
            rows.lag = 1;
        }
        rows.header = header.iter().map(trimmed).collect();
        Ok(rows)
    }

    /// The line in which the row begins. The reader's position before the row is that of any blank lines
    /// before it; its position after the row is exact, but only if the row ends with a line break.
    fn line(&self, record: &StringRecord) -> u64 {
        let before = record.position().map_or(0, csv::Position::line) + self.lag;
        let breaks = line_breaks(record) + 1 - self.lag;
        before.max(self.reader.position().line().saturating_sub(breaks)) + self.skipped
    }

    fn error(&self, error: csv::Error) -> CsvError {
        let text = error.to_string();
        match error.into_kind() {
            ErrorKind::Io(error) => CsvError::of_file(&self.file, format!("cannot be read: {error}")),
            ErrorKind::Utf8 { pos, err } => CsvError {
                file: self.file.clone(),
                line: pos.map(|pos| pos.line() + self.lag + self.skipped),
                column: self.header.get(err.field()).map(str::to_owned),
                message: "is not UTF-8 text".to_owned(),
            },
            _ => CsvError::of_file(&self.file, text),
        }
    }
}

impl Rows for DelimitedRows {
    fn header(&self) -> &StringRecord {
        &self.header
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        loop {
            match self.reader.read_record(record) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => return Err(self.error(error)),
            }
            let (found, expected) = (record.len(), self.header.len());
            // Spreadsheets write empty rows as delimiters alone.
            if record.as_slice().is_empty() && found > 1 {
                continue;
            }
            let line = self.line(record);
            if found == expected {
                return Ok(Some(line));
            }
            let hint =
                if self.loose_quote { "; is a quote left open, or not doubled within quotes?" } else { "" };
            let message = format!("has {found} fields, but the header has {expected}{hint}");
            return Err(CsvError { line: Some(line), ..CsvError::of_file(&self.file, message) });
        }
    }
}

fn line_breaks(record: &StringRecord) -> u64 {
    memchr::memchr_iter(b'\n', record.as_slice().as_bytes()).count() as u64
}

fn skip_line(text: &mut impl Read) -> io::Result<()> {
    let mut byte = [0];
    while text.read(&mut byte)? == 1 && byte != *b"\n" {}
    Ok(())
}

/// A text whose lines end with CR, with LF instead.
struct LineFeeds<R>(R);

impl<R: Read> Read for LineFeeds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        buffer[..read].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        Ok(read)
    }
}
