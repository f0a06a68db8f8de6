//! The batches of a file, shared by the streams that send them.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, stream};
use tally_proto::v1::{Interaction, RecordInteractionsRequest};
use tokio::sync::{Mutex, Semaphore};

use super::UploadOptions;
use crate::{
    error::CsvError,
    import::batches::{Batches, RowBatch},
};

/// The batches of a file; each goes to the stream that asks first.
pub(super) struct Feed(Mutex<FeedState>);

struct FeedState {
    /// None once a stream has failed.
    batches: Option<Batches<Interaction>>,
    /// Batches that were sent in vain, to be sent again.
    returned: Vec<RowBatch<Interaction>>,
    /// Why reading stopped.
    error: Option<CsvError>,
}

impl Feed {
    pub(super) fn new(batches: Batches<Interaction>) -> Self {
        Self(Mutex::new(FeedState { batches: Some(batches), returned: Vec::new(), error: None }))
    }

    async fn next(&self) -> Option<RowBatch<Interaction>> {
        let mut state = self.0.lock().await;
        let FeedState { batches, returned, error } = &mut *state;
        let batches = batches.as_mut()?;
        if let Some(batch) = returned.pop() {
            return Some(batch);
        }
        match batches.recv().await? {
            Ok(batch) => Some(batch),
            Err(reason) => {
                *error = Some(reason);
                None
            }
        }
    }

    /// Takes batches back that are to be sent again.
    pub(super) async fn give_back(&self, batches: impl IntoIterator<Item = RowBatch<Interaction>>) {
        self.0.lock().await.returned.extend(batches);
    }

    /// Ends the batches for all streams.
    pub(super) async fn close(&self) {
        drop(self.0.lock().await.batches.take());
    }

    /// Why the file could not be read to its end.
    pub(super) async fn take_error(&self) -> Option<CsvError> {
        self.0.lock().await.error.take()
    }
}

/// The batches of a call that are sent and not yet acknowledged, in their order.
pub(super) struct InFlight {
    room: Semaphore,
    /// None once the call has ended.
    batches: SyncMutex<Option<VecDeque<RowBatch<Interaction>>>>,
}

impl InFlight {
    /// Room for so many batches.
    pub(super) fn new(most: usize) -> Self {
        Self { room: Semaphore::new(most), batches: SyncMutex::new(Some(VecDeque::new())) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<VecDeque<RowBatch<Interaction>>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a batch; returns it when the call has ended.
    fn add(&self, batch: RowBatch<Interaction>) -> Result<(), RowBatch<Interaction>> {
        match &mut *self.lock() {
            Some(batches) => {
                batches.push_back(batch);
                Ok(())
            }
            None => Err(batch),
        }
    }

    /// The oldest batch, which is acknowledged.
    pub(super) fn acknowledge(&self) -> Option<RowBatch<Interaction>> {
        self.room.add_permits(1);
        self.lock().as_mut()?.pop_front()
    }

    /// Ends the call; returns the batches without a reply.
    pub(super) fn end(&self) -> VecDeque<RowBatch<Interaction>> {
        self.room.close();
        mem::take(&mut *self.lock()).unwrap_or_default()
    }
}

/// Requests made of the batches, as many as there is room for in flight.
pub(super) fn requests(
    feed: Arc<Feed>,
    in_flight: Arc<InFlight>,
    options: UploadOptions,
) -> impl Stream<Item = RecordInteractionsRequest> + Send + 'static {
    stream::unfold((feed, in_flight), move |(feed, in_flight)| async move {
        // Before the batch: one that is taken from the feed must also be sent.
        in_flight.room.acquire().await.ok()?.forget();
        let batch = feed.next().await?;
        let request = RecordInteractionsRequest {
            interactions: batch.items.clone(),
            backfill: options.backfill,
            on_conflict: options.on_conflict.into(),
            amount_decimals: options.amount_decimals.map(i32::from),
            recreate_erased: options.recreate_erased,
        };
        // The call may have ended while the file was read.
        if let Err(batch) = in_flight.add(batch) {
            feed.give_back([batch]).await;
            return None;
        }
        Some((request, (feed, in_flight)))
    })
}
