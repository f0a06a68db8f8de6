//! One row of a customer for all rows of it, wherever they are in the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use csv::StringRecord;

use crate::{error::CsvError, import::rows::Rows};

/// The columns of a mapped table of customers.
const ID: usize = 0;
const TIME: usize = 1;

/// Customers, one row each: the earliest `create_time`, and of everything else what the latest row says that says
/// something. Holds all customers of the file in memory.
pub(super) struct Merged {
    file: PathBuf,
    rows: Box<dyn Rows>,
    customers: Vec<MergedCustomer>,
    by_id: HashMap<String, usize>,
    /// The next customer to return, once all rows are read.
    next: Option<usize>,
}

struct MergedCustomer {
    line: u64,
    row: StringRecord,
    /// The `create_time` of the row that each field is from.
    times: StringRecord,
}

impl Merged {
    pub(super) fn new(file: &Path, rows: Box<dyn Rows>) -> Self {
        Self { file: file.to_owned(), rows, customers: Vec::new(), by_id: HashMap::new(), next: None }
    }

    fn add(&mut self, line: u64, row: &StringRecord) -> Result<(), CsvError> {
        let (id, time) = (&row[ID], &row[TIME]);
        if !time.is_empty() && !begins_with_year(time) {
            let message = format!(
                "`{time}` does not begin with the year, such as 2026-01-31; where a mapping has `merge = true`, it must, \
                 so that the earliest is found"
            );
            let column = self.rows.header().get(TIME).map(str::to_owned);
            return Err(CsvError { line: Some(line), column, ..CsvError::of_file(&self.file, message) });
        }
        // Rows without an id are no customer's; the import says so.
        let known = self.by_id.get(id).filter(|_| !id.is_empty()).copied();
        match known.and_then(|n| self.customers.get_mut(n)) {
            Some(customer) => customer.add(row),
            None => {
                self.by_id.insert(id.to_owned(), self.customers.len());
                let times = row.iter().map(|_| time).collect();
                self.customers.push(MergedCustomer { line, row: row.clone(), times });
            }
        }
        Ok(())
    }
}

impl MergedCustomer {
    fn add(&mut self, row: &StringRecord) {
        let time = &row[TIME];
        let fields = self.row.iter().zip(&self.times).zip(row).enumerate();
        let (merged, times) = fields
            .map(|(column, ((old, old_time), new))| {
                let is_kept = match column {
                    _ if new.is_empty() || old.is_empty() => new.is_empty(),
                    TIME => old < new,
                    _ => old_time > time,
                };
                if is_kept { (old, old_time) } else { (new, time) }
            })
            .unzip();
        (self.row, self.times) = (merged, times);
    }
}

/// Whether the text begins with the year, and the month and the day in two digits. Such texts are in the order of
/// time.
fn begins_with_year(time: &str) -> bool {
    let bytes = time.as_bytes();
    bytes.len() >= 10
        && bytes.iter().take(10).enumerate().all(|(n, byte)| byte.is_ascii_digit() != matches!(n, 4 | 7))
}

impl Rows for Merged {
    fn header(&self) -> &StringRecord {
        self.rows.header()
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        let mut n = match self.next {
            Some(n) => n,
            None => {
                while let Some(line) = self.rows.next(record)? {
                    self.add(line, record)?;
                    record.clear();
                }
                0
            }
        };
        let customer = self.customers.get(n);
        if let Some(customer) = customer {
            record.clone_from(&customer.row);
            n += 1;
        }
        self.next = Some(n);
        Ok(customer.map(|customer| customer.line))
    }
}
