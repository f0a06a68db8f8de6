//! CSV files, plain or gzip: the header, and the rows one after the other, each with the line number that
//! an editor shows for it.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::error::CsvError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is wrong with one field of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The number of the column, from 0.
    pub(super) column: usize,
    /// What it is, and what is allowed.
    pub(super) message: String,
}

/// The rows of one file.
pub(super) struct CsvReader {
    file: PathBuf,
    reader: Reader<Box<dyn Read + Send>>,
    header: StringRecord,
    record: StringRecord,
    /// 1 where rows end with CR LF: the reader stops after the CR, so its line number is one too low.
    lag: u64,
}

impl CsvReader {
    /// Opens a file and reads its header. `bar` shows the bytes read.
    pub(super) fn open(file: &Path, bar: &ProgressBar) -> Result<Self, CsvError> {
        let cannot_read = |error: io::Error| CsvError::of_file(file, format!("cannot be read: {error}"));
        let input = File::open(file).map_err(cannot_read)?;
        if !input.metadata().map_err(cannot_read)?.is_file() {
            return Err(CsvError::of_file(
                file,
                "is not a regular file; it must be one because it is read twice",
            ));
        }
        let input = decompressed(bar.wrap_read(input)).map_err(cannot_read)?;
        Self::new(file, input)
    }

    fn new(file: &Path, input: Box<dyn Read + Send>) -> Result<Self, CsvError> {
        // Flexible: rows of another length are refused in `next`, with the right line number.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(input);
        let (header, record) = (StringRecord::new(), StringRecord::new());
        let mut rows = Self { file: file.to_owned(), reader, header, record, lag: 0 };
        let mut header = StringRecord::new();
        rows.reader.read_record(&mut header).map_err(|error| rows.error(error))?;
        if rows.reader.position().line() == 1 + line_breaks(&header) {
            rows.lag = 1;
        }
        rows.header = header.iter().map(str::trim).collect();
        Ok(rows)
    }

    /// The names of the columns.
    pub(super) const fn header(&self) -> &StringRecord {
        &self.header
    }

    /// The next row, parsed, with its line number. None at the end.
    pub(super) fn next<T>(
        &mut self,
        parse: impl FnOnce(&StringRecord) -> Result<T, Mistake>,
    ) -> Result<Option<(u64, T)>, CsvError> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.error(error)),
        }
        let line = self.line();
        let (found, expected) = (self.record.len(), self.header.len());
        if found != expected {
            let message = format!("has {found} fields, but the header has {expected}");
            return Err(CsvError { line: Some(line), ..CsvError::of_file(&self.file, message) });
        }
        let item = parse(&self.record).map_err(|mistake| CsvError {
            file: self.file.clone(),
            line: Some(line),
            column: self.header.get(mistake.column).map(str::to_owned),
            message: mistake.message,
        })?;
        Ok(Some((line, item)))
    }

    /// The line in which the last row begins. The reader's position before the row is that of any blank
    /// lines before it; its position after the row is exact, but only if the row ends with a line break.
    fn line(&self) -> u64 {
        let before = self.record.position().map_or(0, csv::Position::line) + self.lag;
        let breaks = line_breaks(&self.record) + 1 - self.lag;
        before.max(self.reader.position().line().saturating_sub(breaks))
    }

    fn error(&self, error: csv::Error) -> CsvError {
        let text = error.to_string();
        match error.into_kind() {
            ErrorKind::Io(error) => CsvError::of_file(&self.file, format!("cannot be read: {error}")),
            ErrorKind::Utf8 { pos, err } => CsvError {
                file: self.file.clone(),
                line: pos.map(|pos| pos.line() + self.lag),
                column: self.header.get(err.field()).map(str::to_owned),
                message: "is not UTF-8 text".to_owned(),
            },
            _ => CsvError::of_file(&self.file, text),
        }
    }
}

fn line_breaks(record: &StringRecord) -> u64 {
    record.as_slice().bytes().filter(|byte| *byte == b'\n').count() as u64
}

/// The input, decompressed if its first bytes are those of gzip.
fn decompressed(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let is_gzip = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(input);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn rows(text: &'static str) -> CsvReader {
        CsvReader::new(Path::new("x.csv"), Box::new(text.as_bytes())).unwrap()
    }

    fn lines(text: &'static str) -> Vec<u64> {
        let mut rows = rows(text);
        std::iter::from_fn(|| rows.next(|_| Ok(())).unwrap()).map(|(line, ())| line).collect()
    }

    #[test]
    fn lines_are_those_of_an_editor() {
        assert_eq!(lines("a,b\n1,2\n\n\n3,4\n\"x\ny\",5\n6,7"), [2, 5, 6, 8]);
        assert_eq!(lines("a,b\r\n1,2\r\n\r\n3,4\r\n\"x\r\ny\",5\r\n6,7\r\n8,9"), [2, 4, 5, 7, 8]);
        assert_eq!(lines("\"a\nc\",b\n1,2\n"), [3]);
        assert!(lines("a,b").is_empty() && lines("").is_empty());
    }

    #[test]
    fn errors_name_the_file_the_line_and_the_column() {
        let mut short = rows("a,b\n1,2\n3\n");
        assert!(short.next(|_| Ok(())).is_ok());
        let error = short.next(|_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "x.csv line 3: has 1 fields, but the header has 2");
        let mut bad = rows("a, b\n1,2\n");
        let error = bad.next::<()>(|_| Err(Mistake { column: 1, message: "is 2".to_owned() })).unwrap_err();
        assert_eq!(error.to_string(), "x.csv line 2, column b: is 2");
        let latin: &[u8] = b"a,b\n1,2\n3,\xe4\n";
        let mut latin = CsvReader::new(Path::new("x.csv"), Box::new(latin)).unwrap();
        assert!(latin.next(|_| Ok(())).is_ok());
        let error = latin.next(|_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "x.csv line 3, column b: is not UTF-8 text");
    }

    #[test]
    fn gzip_is_recognised_by_its_first_bytes() {
        let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        zipped.write_all(b"a,b\n").unwrap();
        let mut zipped = zipped.finish().unwrap();
        // Files may be joined: gzip knows several members.
        zipped.extend(zipped.clone());
        for (input, wanted) in [(zipped, "a,b\na,b\n"), (b"a".to_vec(), "a"), (Vec::new(), "")] {
            let mut text = String::new();
            decompressed(Cursor::new(input)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, wanted);
        }
    }
}
