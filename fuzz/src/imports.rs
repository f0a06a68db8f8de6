//! Files that are imported.

use std::{
    fmt::{Debug, Display},
    fs,
    path::Path,
};

use csv::{QuoteStyle, WriterBuilder};
use tally_cli::import::{FileContents, read_customers, read_interactions};

use crate::Server;

/// Reads a file as one of customers and as one of interactions. What the command would send of it is what it would send of
/// the same rows in plain CSV, and the server takes all of it: that is what the command has checked.
pub fn imports(server: &Server, data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let file = folder.path().join("file");
    fs::write(&file, data).expect("the file can be written");
    if let Some(customers) = contents(&file, read_customers) {
        customers.batches.into_iter().for_each(|batch| server.upsert(batch));
    }
    if let Some(interactions) = contents(&file, read_interactions) {
        interactions.batches.into_iter().for_each(|batch| server.record(batch));
    }
}

fn contents<T: PartialEq + Debug, E: Display>(
    file: &Path,
    read: fn(&Path) -> Result<FileContents<T>, E>,
) -> Option<FileContents<T>> {
    let contents = match read(file) {
        Ok(contents) => contents,
        Err(error) => {
            assert!(!error.to_string().chars().any(char::is_control), "{error} is printable");
            return None;
        }
    };
    let FileContents { header, rows, batches } = &contents;
    // Where lines end with LF, a CR alone begins a row as well, but not a line.
    assert!(rows.is_sorted_by_key(|(line, _)| line), "lines rise: {rows:?}");
    assert!(rows.iter().all(|(_, row)| row.len() == header.len()), "rows have all fields: {rows:?}");
    assert!(batches.iter().map(Vec::len).sum::<usize>() <= rows.len(), "a row is one item: {batches:?}");

    let plain = file.with_extension("csv");
    let mut writer =
        WriterBuilder::new().quote_style(QuoteStyle::Always).from_path(&plain).expect("a new file");
    let records = [header].into_iter().chain(rows.iter().map(|(_, row)| row));
    records.for_each(|record| writer.write_record(record).expect("the file can be written"));
    drop(writer);
    let again = read(&plain).unwrap_or_else(|error| panic!("{error}, but it could be read before"));
    assert_eq!(&again.header, header, "the same columns");
    assert!(again.rows.iter().map(|(_, row)| row).eq(rows.iter().map(|(_, row)| row)), "the same rows");
    assert_eq!(&again.batches, batches, "the same items");
    Some(contents)
}
