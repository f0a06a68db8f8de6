//! The batches of a file, shared by the streams that send them.

use std::sync::Arc;

use futures_util::{Stream, stream};
use tally_proto::v1::{Interaction, RecordInteractionsRequest};
use tokio::sync::{Mutex, mpsc};

use super::UploadOptions;
use crate::{
    error::CsvError,
    import::batches::{Batches, RowBatch},
};

/// The batches of a file; each goes to the stream that asks first.
pub(super) struct Feed {
    /// None once a stream has failed.
    batches: Mutex<Option<Batches<Interaction>>>,
    /// Why reading stopped.
    error: Mutex<Option<CsvError>>,
}

impl Feed {
    pub(super) fn new(batches: Batches<Interaction>) -> Self {
        Self { batches: Mutex::new(Some(batches)), error: Mutex::new(None) }
    }

    async fn next(&self) -> Option<RowBatch<Interaction>> {
        match self.batches.lock().await.as_mut()?.recv().await? {
            Ok(batch) => Some(batch),
            Err(error) => {
                *self.error.lock().await = Some(error);
                None
            }
        }
    }

    /// Ends the batches for all streams.
    pub(super) async fn close(&self) {
        drop(self.batches.lock().await.take());
    }

    /// Why the file could not be read to its end.
    pub(super) async fn take_error(&self) -> Option<CsvError> {
        self.error.lock().await.take()
    }
}

/// Requests made of the batches. The lines of each go to `in_flight` before the request is sent; its
/// capacity limits the requests that are sent and not yet acknowledged.
pub(super) fn requests(
    feed: Arc<Feed>,
    in_flight: mpsc::Sender<Vec<u64>>,
    options: UploadOptions,
) -> impl Stream<Item = RecordInteractionsRequest> + Send + 'static {
    stream::unfold((feed, in_flight), move |(feed, in_flight)| async move {
        // Before the batch: one that is taken from the feed must also be sent.
        let permit = in_flight.reserve().await.ok()?;
        let RowBatch { items, lines } = feed.next().await?;
        permit.send(lines);
        let request = RecordInteractionsRequest {
            interactions: items,
            backfill: options.backfill,
            on_conflict: options.on_conflict.into(),
            amount_decimals: options.amount_decimals.map(i32::from),
        };
        Some((request, (feed, in_flight)))
    })
}
