//! Ingest: how customers and interactions enter and leave the store.

pub mod backfills;
mod customers;
mod export;
mod interactions;
pub mod write_barrier;

pub use export::{CustomerExport, ExportPart};
pub use interactions::InteractionBatch;

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tally_model::time::Time;
use tally_store::{Actor, Store};

use crate::{
    histories::Histories,
    listing::Listing,
    platform::{clock::Clock, error::Result, metrics::MetricsRegistry},
};
use write_barrier::{InFlightWrite, WriteBarrier};

/// Stores and reads customers and interactions.
#[derive(Clone)]
pub struct Ingest {
    store: Arc<dyn Store>,
    histories: Histories,
    listing: Listing,
    barrier: WriteBarrier,
    clock: Arc<Clock>,
    /// Interactions that happened more than a day before they were recorded, without backfill.
    late: Counter,
}

/// A write that has its record time and waits for its content.
pub struct PendingWrite {
    write: InFlightWrite,
    /// When the content counts as recorded.
    pub record_time: Time,
}

impl Ingest {
    /// Ingest into `store`, which keeps what depends on it and `barrier` informed.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        (histories, listing): (Histories, Listing),
        barrier: WriteBarrier,
        clock: Arc<Clock>,
        metrics: &MetricsRegistry,
    ) -> Self {
        let late = metrics.register(
            "tally_interactions_late",
            "Interactions recorded without backfill more than a day after they happened",
        );
        Self { store, histories, listing, barrier, clock, late }
    }

    /// Begins a write and fixes its record time. See [`WriteBarrier`].
    #[must_use]
    pub fn begin(&self) -> PendingWrite {
        // In this order: at any later time of the clock the write is seen at the barrier.
        let write = self.barrier.enter();
        PendingWrite { write, record_time: self.clock.now() }
    }

    /// Lets those of these customers who were erased be stored again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn lift_erasures(&self, customer_ids: Vec<String>, by: &Actor, now: Time) -> Result<()> {
        self.store.lift_erasures(customer_ids, by, now).await?;
        Ok(())
    }

    /// Tells those who are storing scores of a backfill about these customers.
    fn begin_backfill(&self, customer_ids: &[String], record_time: Time) {
        let survivors = self.histories.merges().among(customer_ids);
        self.barrier.backfills().begin(customer_ids.iter().chain(&survivors), record_time);
    }

    /// Runs a write about these customers to its end, whatever becomes of the caller.
    async fn run<T: Send + 'static>(
        &self,
        write: InFlightWrite,
        customer_ids: Vec<String>,
        work: impl Future<Output = tally_store::Result<T>> + Send + 'static,
    ) -> Result<T> {
        let histories = self.histories.clone();
        write.finish(async move { histories.invalidate_after(customer_ids, work).await }).await
    }
}
