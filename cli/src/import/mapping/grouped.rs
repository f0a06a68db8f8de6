//! One row of an order for several rows, one a line item.

use std::path::{Path, PathBuf};

use csv::StringRecord;
use tally_proto::values::trimmed;

use super::{decimal, plan::stripped};
use crate::{error::CsvError, import::rows::Rows};

/// Which rows are one, and how.
pub(super) struct Grouping {
    /// The column that is the same in all.
    pub(super) key: usize,
    /// The columns that are summed; of all others the first text that is not empty counts.
    pub(super) sums: Vec<usize>,
    /// What stands before the decimals of a sum.
    pub(super) mark: char,
}

/// A table in which rows one after the other with the same key are one.
pub(super) struct Grouped {
    file: PathBuf,
    rows: Box<dyn Rows>,
    grouping: Grouping,
    /// The first row of the next group, or what there is of a group that an error interrupted.
    pending: Option<(u64, StringRecord)>,
}

impl Grouped {
    pub(super) fn new(file: &Path, rows: Box<dyn Rows>, grouping: Grouping) -> Self {
        Self { file: file.to_owned(), rows, grouping, pending: None }
    }

    /// The first row of a group with its line, None at the end.
    fn first(&mut self) -> Result<Option<(u64, StringRecord)>, CsvError> {
        if let Some(row) = self.pending.take() {
            return Ok(Some(row));
        }
        let mut row = StringRecord::new();
        Ok(self.rows.next(&mut row)?.map(|line| (line, row)))
    }

    /// Adds a row to a group. The error is about the row.
    fn add(&self, group: &StringRecord, line: u64, row: &StringRecord) -> Result<StringRecord, CsvError> {
        let mut sum = StringRecord::with_capacity(group.as_slice().len() + row.as_slice().len(), group.len());
        for (column, (old, new)) in group.iter().zip(row).enumerate() {
            if self.grouping.sums.contains(&column) {
                let [old_number, new_number] = [old, new].map(|text| self.grouping.number(text));
                let text = decimal::sum(&old_number, &new_number, self.grouping.mark);
                sum.push_field(&text.ok_or_else(|| self.no_number(line, column, old, new))?);
            } else {
                sum.push_field(if trimmed(old).is_empty() { new } else { old });
            }
        }
        Ok(sum)
    }

    fn no_number(&self, line: u64, column: usize, old: &str, new: &str) -> CsvError {
        let message = format!("`{old}` and `{new}` cannot be summed; the mapping sums this column");
        let column = self.rows.header().get(column).map(str::to_owned);
        CsvError { line: Some(line), column, ..CsvError::of_file(&self.file, message) }
    }
}

impl Rows for Grouped {
    fn header(&self) -> &StringRecord {
        self.rows.header()
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        let Some((first, mut group)) = self.first()? else { return Ok(None) };
        let mut failure = None;
        loop {
            match self.rows.next(record) {
                Ok(Some(line)) if self.grouping.is_one(&group, record) => {
                    match self.add(&group, line, record) {
                        Ok(sum) => group = sum,
                        // A group without one of its rows would be wrong: the error stands for all of it.
                        Err(error) => failure = failure.or(Some(error)),
                    }
                }
                Ok(next) => {
                    self.pending = next.map(|line| (line, record.clone()));
                    break;
                }
                Err(error) => {
                    self.pending = error.line.is_some().then_some((first, group));
                    return Err(error);
                }
            }
        }
        *record = group;
        failure.map_or(Ok(Some(first)), Err)
    }
}

impl Grouping {
    /// The number in a text such as `1.250,00 €`, without what stands around it and separators of thousands.
    fn number(&self, text: &str) -> String {
        let is_sign = |c: char| !c.is_alphanumeric() && c != '-' && c != self.mark;
        let signs: String = text.chars().filter(|c| is_sign(*c)).collect();
        stripped(text, &signs)
    }

    fn is_one(&self, group: &StringRecord, row: &StringRecord) -> bool {
        let key = trimmed(group.get(self.key).unwrap_or_default());
        !key.is_empty() && key == trimmed(row.get(self.key).unwrap_or_default())
    }
}
