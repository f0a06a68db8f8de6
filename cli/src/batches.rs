//! The second reading of a file: its rows in batches that the server takes, read while others are sent.

use std::{collections::HashSet, iter, path::PathBuf};

use indicatif::ProgressBar;
use prost::Message;
use tokio::{sync::mpsc, task};

use super::{
    csv::{CsvError, Rows},
    rows::Layout,
};
use tally_proto::limits;

/// Batches that are read ahead of the sending.
const READ_AHEAD: usize = 2;
/// Most bytes of the items of one batch.
const BATCH_BYTES: usize = limits::MESSAGE_BYTES / 2;
/// What an item costs in a message besides its own bytes, at most: its tag and its length.
const ITEM_BYTES: usize = 6;

/// Items that travel together, and the lines that they come from.
pub(super) struct Batch<T> {
    /// What the rows say.
    pub(super) items: Vec<T>,
    /// The line of each.
    pub(super) lines: Vec<u64>,
}

/// The batches of a file as they are read; the last may say why no more can be.
pub(super) type Batches<T> = mpsc::Receiver<Result<Batch<T>, CsvError>>;

/// Reads the file. Reading goes on beside the sending, a little ahead of it.
pub(super) fn read_ahead<L: Layout>(path: PathBuf, layout: L) -> Batches<L::Item> {
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    task::spawn_blocking(move || match Rows::open(&path, &ProgressBar::hidden()) {
        Ok(mut rows) => {
            let read = iter::from_fn(|| rows.next(|record| layout.item(record)).transpose());
            for batch in in_batches::<L>(read) {
                let last = batch.is_err();
                // Nobody listens any more when the sending has failed.
                if sender.blocking_send(batch).is_err() || last {
                    break;
                }
            }
        }
        Err(error) => drop(sender.blocking_send(Err(error))),
    });
    batches
}

/// Cuts rows into batches that the server takes. Within one every customer stands once: of several rows
/// of the same customer the last one counts.
fn in_batches<L: Layout>(
    rows: impl Iterator<Item = Result<(u64, L::Item), CsvError>>,
) -> impl Iterator<Item = Result<Batch<L::Item>, CsvError>> {
    let mut rows = rows;
    let mut held: Option<(u64, L::Item)> = None;
    iter::from_fn(move || {
        let mut batch = Batch { items: Vec::new(), lines: Vec::new() };
        let mut ids = HashSet::new();
        let mut bytes = 0;
        while let Some(row) = held.take().map(Ok).or_else(|| rows.next()) {
            let (line, item) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            bytes += item.encoded_len() + ITEM_BYTES;
            let repeated = L::unique(&item).is_some_and(|id| !ids.insert(id.to_owned()));
            let full = batch.items.len() == L::BATCH || bytes > BATCH_BYTES;
            if repeated || (full && !batch.items.is_empty()) {
                held = Some((line, item));
                break;
            }
            batch.items.push(item);
            batch.lines.push(line);
        }
        (!batch.items.is_empty()).then_some(Ok(batch))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tally_proto::v1::Customer;

    use super::*;
    use crate::rows::Customers;

    fn sizes(ids: impl Iterator<Item = String>) -> Vec<usize> {
        let row = |(line, customer_id)| Ok((line, Customer { customer_id, ..Customer::default() }));
        in_batches::<Customers>((2..).zip(ids).map(row)).map(|batch| batch.unwrap().items.len()).collect()
    }

    #[test]
    fn batches_are_full_but_never_too_large_nor_twice_the_same_customer() {
        assert_eq!(sizes((0..2_500).map(|n| format!("C{n}"))), [1_000, 1_000, 500]);
        assert_eq!(sizes(["a", "b", "a", "a", "c"].map(str::to_owned).into_iter()), [2, 1, 2]);
        assert_eq!(sizes(iter::empty()), [0; 0]);
        let long = "x".repeat(BATCH_BYTES / 3);
        assert_eq!(sizes((0..5).map(|n| format!("{n}{long}"))), [2, 2, 1]);
    }

    #[test]
    fn a_row_that_cannot_be_read_ends_the_batches() {
        let rows = [Ok((2, Customer::default())), Err(CsvError::of_file(Path::new("x"), "y"))];
        let mut batches = in_batches::<Customers>(rows.into_iter());
        assert!(batches.next().unwrap().is_err());
    }
}
