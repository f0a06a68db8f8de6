//! What files contain, as an import into an empty deployment would send it: the first and the second pass, without a
//! server.

use std::{path::Path, sync::Arc};

use csv::StringRecord;
use indicatif::ProgressBar;
use tally_proto::v1::{Customer, Interaction, OnConflict};

use super::{
    batches::{good_rows, in_batches},
    check::{Checked, FirstPass},
    customers,
    fields::NumberReader,
    findings::{CustomerIds, Findings},
    inputs::InputTable,
    interactions,
    layout::{Layout, ValueOptions, latest},
    server_state::ServerState,
    source::{FileOptions, InputFile},
    times::TimeReader,
};
use crate::{environment::system_clock, error::CsvError};

/// What a file contains.
#[derive(Clone, Debug, PartialEq)]
pub struct FileContents<T> {
    /// The names of the columns.
    pub header: StringRecord,
    /// The rows that have a field for each column, good or not, with their lines.
    pub rows: Vec<(u64, StringRecord)>,
    /// What would be sent of the good ones, batch by batch.
    pub batches: Vec<Vec<T>>,
}

/// Reads a file of customers.
///
/// # Errors
/// Why nothing of it can be imported.
pub fn read_customers(file: &Path) -> Result<FileContents<Customer>, CsvError> {
    read(file, customers::check)
}

/// Reads a file of interactions. Of rows with the same key, the last counts.
///
/// # Errors
/// Why nothing of it can be imported.
pub fn read_interactions(file: &Path) -> Result<FileContents<Interaction>, CsvError> {
    read(file, interactions::check)
}

type Check<L> =
    fn(InputTable, &FirstPass<'_>, &mut CustomerIds, &mut Findings) -> Result<Checked<L>, CsvError>;

fn read<L: Layout>(file: &Path, check: Check<L>) -> Result<FileContents<L::Item>, CsvError> {
    let source = InputTable::of(Arc::new(InputFile::open(file, &FileOptions::default())?));
    let pass = FirstPass {
        options: ValueOptions {
            times: TimeReader::default(),
            numbers: NumberReader::default(),
            ignored: Vec::new(),
            latest: latest(system_clock()),
        },
        server: &ServerState::default(),
        has_customers: false,
        backfill: true,
        on_conflict: OnConflict::Correct,
        skip_bad: None,
    };
    let checked = check(source, &pass, &mut CustomerIds::default(), &mut Findings::default())?;
    let (header, rows) = rows(&checked.source)?;
    let mut table = checked.source.rows(&ProgressBar::hidden(), &Arc::default())?;
    let batches = in_batches(&checked.layout, good_rows(table.as_mut(), &checked.layout));
    let batches = batches.map(|batch| batch.map(|batch| batch.items)).collect::<Result<_, _>>()?;
    Ok(FileContents { header, rows, batches })
}

/// The header, and the rows that can be read.
fn rows(source: &InputTable) -> Result<(StringRecord, Vec<(u64, StringRecord)>), CsvError> {
    let mut table = source.rows(&ProgressBar::hidden(), &Arc::default())?;
    let (mut rows, mut record) = (Vec::new(), StringRecord::new());
    loop {
        match table.next(&mut record) {
            Ok(None) => return Ok((table.header().clone(), rows)),
            Ok(Some(line)) => rows.push((line, record.clone())),
            Err(error) if error.line.is_some() => {}
            Err(error) => return Err(error),
        }
    }
}
