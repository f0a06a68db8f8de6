//! CSV files, plain or gzip: their columns, and their rows one after the other, each with the line that
//! an editor shows for it.

use std::{
    fmt,
    fs::File,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use super::render::plain;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is wrong with a CSV file, and where.
#[derive(Debug, thiserror::Error)]
pub struct CsvError {
    file: PathBuf,
    line: Option<u64>,
    column: Option<String>,
    message: String,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {}", plain(column))?;
        }
        write!(f, ": {}", plain(&self.message))
    }
}

impl CsvError {
    /// Something about the whole file.
    pub(super) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, column: None, message: message.into() }
    }
}

/// What is wrong with one field of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The number of the column, from 0.
    pub(super) column: usize,
    /// What was found and what is allowed.
    pub(super) message: String,
}

/// The rows of one file.
pub(super) struct Rows {
    file: PathBuf,
    reader: Reader<Box<dyn Read + Send>>,
    header: StringRecord,
    record: StringRecord,
    /// The lines of the reader lag one behind where a row ends with CR LF: it stops after the CR.
    lag: u64,
}

impl Rows {
    /// Opens a file and reads its header. `bar` follows the bytes that are read.
    pub(super) fn open(file: &Path, bar: &ProgressBar) -> Result<Self, CsvError> {
        let cannot_read = |error: io::Error| CsvError::of_file(file, format!("cannot be read: {error}"));
        let input = File::open(file).map_err(cannot_read)?;
        if !input.metadata().map_err(cannot_read)?.is_file() {
            return Err(CsvError::of_file(
                file,
                "is no regular file; it has to be one, since it is read twice",
            ));
        }
        let input = decompressed(bar.wrap_read(input)).map_err(cannot_read)?;
        Self::new(file, input)
    }

    fn new(file: &Path, input: Box<dyn Read + Send>) -> Result<Self, CsvError> {
        // Rows of another length are refused in `next`, with the right line.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(input);
        let (header, record) = (StringRecord::new(), StringRecord::new());
        let mut rows = Self { file: file.to_owned(), reader, header, record, lag: 0 };
        let mut header = StringRecord::new();
        rows.reader.read_record(&mut header).map_err(|error| rows.broken(error))?;
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

    /// The next row as `parse` takes it, with its line. None at the end.
    pub(super) fn next<T>(
        &mut self,
        parse: impl FnOnce(&StringRecord) -> Result<T, Mistake>,
    ) -> Result<Option<(u64, T)>, CsvError> {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.broken(error)),
        }
        let line = self.line();
        let (found, wanted) = (self.record.len(), self.header.len());
        if found != wanted {
            let message = format!("has {found} fields, but the header has {wanted}");
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

    /// The line that the row just read begins in. The reader's own count has the row begin at blank
    /// lines before it; its count after the row does not, but wants a line break at the end.
    fn line(&self) -> u64 {
        let before = self.record.position().map_or(0, csv::Position::line) + self.lag;
        let breaks = line_breaks(&self.record) + 1 - self.lag;
        before.max(self.reader.position().line().saturating_sub(breaks))
    }

    fn broken(&self, error: csv::Error) -> CsvError {
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

/// The input itself, or what gzip made small; the first bytes tell which.
fn decompressed(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    input.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
    let zipped = start == GZIP_MAGIC;
    let whole = Cursor::new(start).chain(input);
    Ok(if zipped { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Where the columns of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns<const R: usize, const O: usize> {
    /// The required ones.
    pub(super) required: [usize; R],
    /// The others that mean something.
    pub(super) optional: [Option<usize>; O],
    /// All further ones, with their names.
    pub(super) rest: Vec<(usize, String)>,
}

/// Finds the columns of a file. Each required one may have several names.
pub(super) fn columns<const R: usize, const O: usize>(
    header: &StringRecord,
    required: [&[&str]; R],
    optional: [&str; O],
) -> Result<Columns<R, O>, String> {
    let names: Vec<&str> = header.iter().collect();
    for (n, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", n + 1));
        }
        if names[..n].contains(name) {
            return Err(format!("has two columns `{name}`"));
        }
    }
    let find = |alternatives: &[&str]| names.iter().position(|name| alternatives.contains(name));
    let missing: Vec<String> =
        required.iter().filter(|names| find(names).is_none()).map(|names| names.join(" or ")).collect();
    if !missing.is_empty() {
        let needed = required.map(|names| names.join(" or ")).join(", ");
        let found = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
        return Err(format!("lacks {}; needed are {needed}; found: {found}", missing.join(", ")));
    }
    for alternatives in required {
        if names.iter().filter(|name| alternatives.contains(name)).count() > 1 {
            return Err(format!("has both {}; leave one of them out", alternatives.join(" and ")));
        }
    }
    let known = |name: &str| optional.contains(&name) || required.iter().any(|names| names.contains(&name));
    let rest = names.iter().enumerate().filter(|(_, name)| !known(name));
    Ok(Columns {
        required: required.map(|names| find(names).unwrap_or_default()),
        optional: optional.map(|name| find(&[name])),
        rest: rest.map(|(n, name)| (n, (*name).to_owned())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn rows(text: &'static str) -> Rows {
        Rows::new(Path::new("x.csv"), Box::new(text.as_bytes())).unwrap()
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
    fn errors_name_file_line_and_column() {
        let mut short = rows("a,b\n1,2\n3\n");
        assert!(short.next(|_| Ok(())).is_ok());
        let error = short.next(|_| Ok(())).unwrap_err().to_string();
        assert_eq!(error, "x.csv line 3: has 1 fields, but the header has 2");
        let mut bad = rows("a, b\n1,2\n");
        let error = bad.next::<()>(|_| Err(Mistake { column: 1, message: "is 2".to_owned() })).unwrap_err();
        assert_eq!(error.to_string(), "x.csv line 2, column b: is 2");
        let latin: &[u8] = b"a,b\n1,2\n3,\xe4\n";
        let mut latin = Rows::new(Path::new("x.csv"), Box::new(latin)).unwrap();
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

    #[test]
    fn columns_are_found_in_any_order() {
        let find = |header: &str| {
            let header: StringRecord = header.split_terminator(',').collect();
            columns(&header, [&["id"], &["time", "at"]], ["name"])
        };
        let found = find("x,at,name,id,y").unwrap();
        assert_eq!((found.required, found.optional), ([3, 1], [Some(2)]));
        assert_eq!(found.rest, [(0, "x".to_owned()), (4, "y".to_owned())]);
        assert_eq!(find("id,time").unwrap().optional, [None]);
        assert_eq!(find("x,id").unwrap_err(), "lacks time or at; needed are id, time or at; found: x, id");
        assert_eq!(find("").unwrap_err(), "lacks id, time or at; needed are id, time or at; found: nothing");
        assert_eq!(find("id,time,at").unwrap_err(), "has both time and at; leave one of them out");
        assert_eq!(find("id,id,at").unwrap_err(), "has two columns `id`");
        assert_eq!(find("id,,at").unwrap_err(), "column 2 has no name");
    }
}
