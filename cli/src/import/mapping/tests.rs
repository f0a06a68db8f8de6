//! Shipped mappings on files shaped as the products export them, and what mapping files may say.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use csv::{Reader, ReaderBuilder, StringRecord};

use super::{LeftOut, Mapping, Table, shipped::SHIPPED};
use crate::{
    error::CsvError,
    import::{
        rows::Rows,
        source::{FileOptions, InputFile},
    },
};

mod files;
mod products;

/// Plain CSV in memory.
struct Csv {
    reader: Reader<std::io::Cursor<Vec<u8>>>,
    header: StringRecord,
}

impl Csv {
    fn new(text: &[u8]) -> Self {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).to_vec();
        let mut reader = ReaderBuilder::new().flexible(true).from_reader(std::io::Cursor::new(text));
        let header = reader.headers().unwrap().clone();
        Self { reader, header }
    }
}

impl Rows for Csv {
    fn header(&self) -> &StringRecord {
        &self.header
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        let found = self.reader.read_record(record).unwrap();
        let line = record.position().unwrap().line();
        if found && record.len() != self.header.len() {
            let error = CsvError::of_file(Path::new("x.csv"), "has fields too many or too few");
            return Err(CsvError { line: Some(line), ..error });
        }
        Ok(found.then_some(line))
    }
}

/// All rows with their lines, or their errors.
fn all(mut rows: Box<dyn Rows>) -> Vec<Result<(u64, StringRecord), String>> {
    let mut record = StringRecord::new();
    let mut all = Vec::new();
    loop {
        match rows.next(&mut record) {
            Ok(Some(line)) => all.push(Ok((line, record.clone()))),
            Ok(None) => return all,
            Err(error) => all.push(Err(error.to_string())),
        }
    }
}

/// What a mapping makes of CSV, as lines of fields that are separated by bars, the header first.
fn mapped(mapping: &str, table: Table, csv: &str) -> (Vec<String>, Vec<(String, u64)>) {
    let mapping = Mapping::parse(Path::new("my.toml"), mapping).unwrap();
    let left_out = Arc::new(LeftOut::default());
    let rows = Box::new(Csv::new(csv.as_bytes()));
    let rows = mapping.apply(table, Path::new("x.csv"), rows, Arc::clone(&left_out)).unwrap();
    let line = |record: &StringRecord| record.iter().collect::<Vec<_>>().join("|");
    let mut lines = vec![line(rows.header())];
    lines.extend(all(rows).iter().map(|row| row.as_ref().map_or_else(Clone::clone, |(_, row)| line(row))));
    (lines, left_out.reasons())
}
