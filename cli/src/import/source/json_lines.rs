//! JSON lines as a table: a column for each key that any line has, nested keys joined by dots.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use csv::StringRecord;
use serde_json::value::RawValue;

use crate::{error::CsvError, import::rows::Rows};

/// Longest line, in bytes: more than any event, and few enough that a file that is no JSON lines does not fill
/// the memory.
const LINE_BYTES: u64 = 16 << 20;

/// The rows of a file of JSON lines.
pub(super) struct JsonLines {
    lines: Lines,
    header: StringRecord,
    columns: HashMap<String, usize>,
}

impl JsonLines {
    /// Reads the file once for its keys. `open` opens it from its beginning, and is called twice.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub(super) fn open<R: Read + Send + 'static>(
        file: &Path,
        open: impl Fn() -> io::Result<R>,
    ) -> Result<Self, CsvError> {
        let mut names = BTreeSet::new();
        let mut lines = Lines::new(file, &open)?;
        loop {
            match lines.next() {
                Ok(Some((_, texts))) => names.extend(texts.into_iter().map(|(name, _)| name)),
                Ok(None) => break,
                // The second pass says so.
                Err(error) if error.line.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        let header = names.iter().collect();
        let columns = names.into_iter().enumerate().map(|(n, name)| (name, n)).collect();
        Ok(Self { lines: Lines::new(file, &open)?, header, columns })
    }
}

impl Rows for JsonLines {
    fn header(&self) -> &StringRecord {
        &self.header
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        let Some((line, values)) = self.lines.next()? else { return Ok(None) };
        let mut texts = vec![String::new(); self.columns.len()];
        for (name, text) in values {
            if let Some(cell) = self.columns.get(&name).and_then(|n| texts.get_mut(*n)) {
                *cell = text;
            }
        }
        *record = StringRecord::from(texts);
        Ok(Some(line))
    }
}

/// An object whose values are still JSON, so that numbers stay as they are written.
type Object = BTreeMap<String, Box<RawValue>>;

/// The number of a line, and the values of its object by their keys.
type Line = (u64, Vec<(String, String)>);

/// The objects of a file.
struct Lines {
    file: PathBuf,
    input: BufReader<Box<dyn Read + Send>>,
    /// The number of the last line.
    line: u64,
    text: Vec<u8>,
}

impl Lines {
    fn new<R: Read + Send + 'static>(
        file: &Path,
        open: impl Fn() -> io::Result<R>,
    ) -> Result<Self, CsvError> {
        let input = open().map_err(|error| unreadable(file, &error))?;
        Ok(Self { file: file.to_owned(), input: BufReader::new(Box::new(input)), line: 0, text: Vec::new() })
    }

    /// The next object with the number of its line. Lines of white space are passed over.
    fn next(&mut self) -> Result<Option<Line>, CsvError> {
        loop {
            self.text.clear();
            let mut input = self.input.by_ref().take(LINE_BYTES);
            let bytes =
                input.read_until(b'\n', &mut self.text).map_err(|error| unreadable(&self.file, &error))?;
            if bytes == 0 {
                return Ok(None);
            }
            self.line += 1;
            if bytes as u64 == LINE_BYTES && !self.text.ends_with(b"\n") {
                let message =
                    format!("line {} is longer than {LINE_BYTES} bytes; is this JSON lines?", self.line);
                return Err(CsvError::of_file(&self.file, message));
            }
            let text = self.text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.text);
            if text.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice(text).and_then(flat) {
                Ok(texts) => Ok(Some((self.line, texts))),
                Err(error) if error.is_data() => {
                    Err(self
                        .error("is JSON, but no object; each line must be one, such as {\"type\":\"track\"}"))
                }
                Err(error) => Err(self.error(&format!("is not JSON: {error}"))),
            };
        }
    }

    fn error(&self, message: &str) -> CsvError {
        CsvError { line: Some(self.line), ..CsvError::of_file(&self.file, message) }
    }
}

fn unreadable(file: &Path, error: &io::Error) -> CsvError {
    CsvError::of_file(file, format!("cannot be read: {error}"))
}

/// The values of an object that are not objects themselves, by their keys. Lists are JSON text.
fn flat(object: Object) -> serde_json::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    let mut open: Vec<(String, Box<RawValue>)> = object.into_iter().collect();
    while let Some((name, value)) = open.pop() {
        let json = value.get();
        match json.as_bytes().first() {
            Some(b'{') => {
                let inner: Object = serde_json::from_str(json)?;
                open.extend(inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            Some(b'"') => texts.push((name, serde_json::from_str(json)?)),
            Some(b'n') => {}
            _ => texts.push((name, json.to_owned())),
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &'static str) -> JsonLines {
        JsonLines::open(Path::new("x.jsonl"), || Ok(text.as_bytes())).unwrap()
    }

    #[test]
    fn nested_keys_become_columns() {
        let mut rows = open(
            "{\"a\":{\"b\":1.50,\"c\":{\"d\":true}},\"e\":null}\r\n\n{\"f\":\"x\\ny\",\"a\":{\"b\":\"\"},\"g\":[1,{}]}",
        );
        assert_eq!(rows.header(), &["a.b", "a.c.d", "f", "g"][..]);
        let mut record = StringRecord::new();
        assert_eq!(rows.next(&mut record).unwrap(), Some(1));
        assert_eq!(record, ["1.50", "true", "", ""][..]);
        assert_eq!(rows.next(&mut record).unwrap(), Some(3));
        assert_eq!(record, ["", "", "x\ny", "[1,{}]"][..]);
        assert_eq!(rows.next(&mut record).unwrap(), None);
    }

    #[test]
    fn numbers_stay_as_they_are_written() {
        let mut rows = open("{\"id\":12345678901234567890123,\"x\":1E3}\n{\"id\":\"\\ud800\"}\n");
        let mut record = StringRecord::new();
        assert_eq!(rows.next(&mut record).unwrap(), Some(1));
        assert_eq!(record, ["12345678901234567890123", "1E3"][..]);
        assert_eq!(rows.next(&mut record).unwrap_err().line, Some(2), "half of a character");
    }

    #[test]
    fn a_bad_line_is_an_error_of_that_line() {
        let mut rows = open("\u{feff}{\"a\":1}\n{\"a\":\n[2]\n{\"a\":3}\n");
        let mut record = StringRecord::new();
        assert_eq!(rows.next(&mut record).unwrap(), Some(1));
        let errors = [rows.next(&mut record).unwrap_err(), rows.next(&mut record).unwrap_err()];
        assert_eq!(errors.each_ref().map(|error| error.line), [Some(2), Some(3)]);
        let text = errors[1].to_string();
        assert!(text.starts_with("x.jsonl line 3: is JSON, but no object"), "{text}");
        assert_eq!((rows.next(&mut record).unwrap(), record.get(0)), (Some(4), Some("3")));
    }
}
