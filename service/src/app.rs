//! What every RPC and job works with: the store, the models that serve, the key of page tokens, the
//! clock, the metrics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use tally_model::time::Time;
use tokio::sync::Notify;

use crate::{
    catalog::models::Models,
    grpc::page_token::Tokens,
    histories::cache::Histories,
    ingest::write_barrier::{WriteBarrier, Writer},
    platform::error::Result,
    platform::metrics::Metrics,
};
use tally_store::Store;

/// The rooms that requests share.
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The customers' histories, warm where they are asked for often.
    pub histories: Histories,
    /// The models that serve.
    pub models: Models,
    /// Seals page tokens.
    pub tokens: Tokens,
    /// Tells the time.
    pub clock: Clock,
    /// The writes under way.
    pub writers: WriteBarrier,
    /// What [`App::now`] said last, in microseconds.
    last: AtomicI64,
    /// What operators are told.
    pub metrics: Arc<Metrics>,
    /// ScoreView when a population has been scored.
    pub scored: Notify,
}

/// Tells the time; tests pass their own.
pub type Clock = fn() -> Time;

impl App {
    /// Sets up what requests share, on an open store, with a cache of so many bytes.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(store: Arc<dyn Store>, cache_bytes: u64, clock: Clock) -> Result<Self> {
        let tokens = Tokens::new(&*store).await?;
        let metrics = Arc::new(Metrics::new());
        let models = Models::new(Arc::clone(&store), Arc::clone(&metrics));
        models.refresh().await?;
        Ok(Self {
            histories: Histories::new(Arc::clone(&store), cache_bytes, Arc::clone(&metrics)),
            store,
            models,
            tokens,
            clock,
            writers: WriteBarrier::default(),
            last: AtomicI64::new(0),
            metrics,
            scored: Notify::new(),
        })
    }

    /// Now. Every answer is later than the one before, whatever the clock does: what was known at an
    /// answer is told from what is recorded at a later one.
    #[must_use]
    pub fn now(&self) -> Time {
        let clock = (self.clock)().0;
        let next = |last: i64| clock.max(last + 1);
        let taken = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        // The closure never declines.
        Time(next(taken.unwrap_or_else(|last| last)))
    }

    /// Begins a write of interactions or customers, and tells its record time. See [`WriteBarrier`].
    #[must_use]
    pub fn begin_write(&self) -> (Writer, Time) {
        // In this order: whoever is told a later time finds the writer entered.
        (self.writers.enter(), self.now())
    }
}

/// The system's clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
pub fn system_clock() -> Time {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)).min(Time::MAX)
}
