//! The second pass over a file: its rows in batches, read while earlier ones are sent.

use std::{collections::HashSet, iter, sync::Arc};

use csv::StringRecord;
use indicatif::ProgressBar;
use prost::Message;
use tally_proto::limits;
use tokio::{sync::mpsc, task};

use super::{inputs::InputTable, layout::Layout, rows::Rows};
use crate::error::CsvError;

/// Batches that are read and not yet sent, at most.
const READ_AHEAD: usize = 2;
/// Most bytes of the items in one batch.
pub(super) const BATCH_BYTES: usize = limits::MESSAGE_BYTES / 2;
/// Bytes that an item takes in a message besides its own, at most: its tag and its length.
const ITEM_BYTES: usize = 6;

/// Items that are sent in one request.
pub(super) struct RowBatch<T> {
    /// One for each row.
    pub(super) items: Vec<T>,
    /// The line number of each.
    pub(super) lines: Vec<u64>,
}

/// The batches of a file as they are read. An error is the last.
pub(super) type Batches<T> = mpsc::Receiver<Result<RowBatch<T>, CsvError>>;

/// Reads the file in a thread of its own, a few batches ahead of the receiver. Leaves out bad rows, which the first
/// pass has found.
pub(super) fn read_ahead<L: Layout>(source: InputTable, layout: L) -> Batches<L::Item> {
    let (sender, batches) = mpsc::channel(READ_AHEAD);
    task::spawn_blocking(move || match source.rows(&ProgressBar::hidden(), &Arc::default()) {
        Ok(mut rows) => {
            let read = good_rows(rows.as_mut(), &layout);
            // A batch is sent only if the file was still the one that was checked when it had been read.
            let unchanged = |batch| source.check_unchanged().map(|()| batch);
            for batch in in_batches(&layout, read).map(|batch| batch.and_then(unchanged)) {
                let last = batch.is_err();
                // The receiver is gone when sending has failed.
                if sender.blocking_send(batch).is_err() || last {
                    break;
                }
            }
        }
        Err(error) => drop(sender.blocking_send(Err(error))),
    });
    batches
}

/// The rows of a table without those that are bad.
pub(super) fn good_rows<L: Layout>(
    rows: &mut dyn Rows,
    layout: &L,
) -> impl Iterator<Item = Result<(u64, L::Item), CsvError>> {
    let mut record = StringRecord::new();
    let mut number = 0;
    iter::from_fn(move || {
        loop {
            match rows.next(&mut record) {
                Ok(None) => return None,
                Ok(Some(line)) => {
                    number += 1;
                    let item = layout.row(&record).and_then(|row| layout.item(&row));
                    if let Some(item) = item.ok().filter(|_| layout.counts(number)) {
                        return Some(Ok((line, item)));
                    }
                }
                Err(error) if error.line.is_some() => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}

/// Groups rows into batches within the server's limits. A batch ends before a row whose unique id it
/// already has, so that of several rows of a customer the last one counts.
pub(super) fn in_batches<L: Layout>(
    layout: &L,
    rows: impl Iterator<Item = Result<(u64, L::Item), CsvError>>,
) -> impl Iterator<Item = Result<RowBatch<L::Item>, CsvError>> {
    let mut rows = rows;
    let mut carried: Option<(u64, L::Item)> = None;
    iter::from_fn(move || {
        let mut batch = RowBatch { items: Vec::new(), lines: Vec::new() };
        let mut ids = HashSet::new();
        let mut bytes = 0;
        while let Some(row) = carried.take().map(Ok).or_else(|| rows.next()) {
            let (line, item) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            bytes += item.encoded_len() + ITEM_BYTES;
            let repeated = layout.unique(&item).is_some_and(|id| !ids.insert(id));
            let full = batch.items.len() == L::BATCH || bytes > BATCH_BYTES;
            if repeated || (full && !batch.items.is_empty()) {
                carried = Some((line, item));
                break;
            }
            batch.items.push(item);
            batch.lines.push(line);
        }
        (!batch.items.is_empty()).then_some(Ok(batch))
    })
}
