//! Warm histories: what scoring reads of customers, packed, in memory bounded by bytes.
//!
//! The cache is ours since it keeps histories instead of scores, together with what a model makes of one
//! while only time passes ([`PreparedScore`]): a warm answer is as fresh as the moment it is asked for,
//! and the same bits as a cold one. An entry is dropped
//! - when this server writes something about the customer, before the write is acknowledged;
//! - within a second when another server on the same database does (see [`Histories::follow_changes`]).
//!   While the changes of others cannot be read, nothing is answered from memory.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use quick_cache::{Weighter, sync::Cache};
use tally_model::{history::Packed, scoring::PreparedScore};
use tally_store::{Change, Store};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use super::{
    foreign_changes::SeenChanges,
    pending_reads::{Found, PendingReads},
    survivors::Survivors,
};
use crate::{
    catalog::ModelName,
    platform::{
        error::{Error, Result},
        metrics::MetricsRegistry,
    },
};

/// How often the changes of other servers are read.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// How old a read of them may be for the cache to answer.
const FRESH: Duration = Duration::from_secs(1);
/// After this long without a read of them the cache is emptied: well before others prune changes.
const FORGET_AFTER: Duration = Duration::from_secs(300);
/// What is kept of a customer takes about as much; only the cache's first allocation follows from it.
const TYPICAL_BYTES: u64 = 3_000;
/// What an entry takes beside the customer's id and what is kept.
const ENTRY_BYTES: usize = 140;
/// What an allocation takes beside its bytes, about.
const ALLOCATION_BYTES: usize = 16;

/// Histories, from memory where they are warm. Clones share them.
#[derive(Clone)]
pub struct Histories(Arc<HistoriesState>);

struct HistoriesState {
    store: Arc<dyn Store>,
    warm: Cache<Box<str>, Arc<WarmHistory>, ByBytes>,
    pending: Mutex<PendingReads>,
    survivors: Survivors,
    begin: Instant,
    /// When the last successful read of others' changes began, in milliseconds after `begin`, plus 1;
    /// 0 before the first.
    polled: AtomicU64,
    metrics: WarmMetrics,
}

struct WarmMetrics {
    hits: Counter,
    misses: Counter,
    customers: Gauge,
    bytes: Gauge,
}

/// What is kept of a customer.
#[derive(Debug)]
pub struct WarmHistory {
    /// The history.
    pub history: Packed,
    /// Whether a score was asked for before.
    asked: AtomicBool,
    /// What the model that was asked last makes of it.
    kept: Option<KeptScore>,
}

#[derive(Debug)]
struct KeptScore {
    model: ModelName,
    prepared: PreparedScore,
}

impl WarmHistory {
    const fn new(history: Packed) -> Self {
        Self { history, asked: AtomicBool::new(false), kept: None }
    }

    /// Notes that a score is asked for, and returns whether one was before. Many customers are asked for
    /// once; keeping more than the history pays only for the others.
    #[must_use]
    pub fn asked_again(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }

    /// What this model makes of the customer, if that is kept.
    #[must_use]
    pub fn prepared(&self, model: ModelName) -> Option<&PreparedScore> {
        self.kept.as_ref().filter(|kept| kept.model == model).map(|kept| &kept.prepared)
    }

    fn bytes(&self) -> usize {
        let kept = self.kept.as_ref().map_or(0, |KeptScore { prepared, .. }| {
            prepared.bytes() + PreparedScore::PARTS * ALLOCATION_BYTES
        });
        size_of::<Self>() + self.history.as_bytes().len() + kept
    }
}

/// Weighs an entry of the cache.
#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<str>, Arc<WarmHistory>> for ByBytes {
    fn weight(&self, customer_id: &Box<str>, warm: &Arc<WarmHistory>) -> u64 {
        (customer_id.len() + warm.bytes() + ENTRY_BYTES) as u64
    }
}

impl Histories {
    /// An empty cache of at most `bytes` bytes.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, bytes: u64, metrics: &MetricsRegistry) -> Self {
        let items = (bytes / TYPICAL_BYTES).clamp(16, 1 << 20) as usize;
        Self(Arc::new(HistoriesState {
            store,
            warm: Cache::with_weighter(items, bytes, ByBytes),
            pending: Mutex::default(),
            survivors: Survivors::default(),
            begin: Instant::now(),
            polled: AtomicU64::new(0),
            metrics: WarmMetrics {
                hits: metrics.register("tally_warm_hits", "Histories that were found in memory"),
                misses: metrics.register("tally_warm_misses", "Histories that had to be read"),
                customers: metrics.register("tally_warm_customers", "Histories in memory"),
                bytes: metrics.register("tally_warm_bytes", "About how many bytes they take"),
            },
        }))
    }

    /// The histories of these customers in the order asked; None for an unknown one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, customer_ids: &[String]) -> Result<Vec<Option<Arc<WarmHistory>>>> {
        let fresh = self.is_fresh();
        let mut found = Vec::with_capacity(customer_ids.len());
        let mut missing = Vec::new();
        for (n, customer_id) in customer_ids.iter().enumerate() {
            let warm = if fresh { self.0.warm.get(customer_id.as_str()) } else { None };
            if warm.is_none() {
                missing.push(n);
            }
            found.push(warm);
        }
        self.0.metrics.hits.inc_by((found.len() - missing.len()) as u64);
        if missing.is_empty() {
            return Ok(found);
        }
        self.0.metrics.misses.inc_by(missing.len() as u64);
        let reads = self.read(missing.iter().map(|n| customer_ids[*n].as_str()));
        for (n, read) in missing.into_iter().zip(reads) {
            found[n] =
                read.await.map_err(|_| Error::Internal("a read of a history was dropped".into()))??;
        }
        Ok(found)
    }

    /// Whether there is room for more than histories, which come first.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.warm.weight() < self.0.warm.capacity() / 8 * 7
    }

    /// Keeps what a model makes of a customer, unless the history has changed since.
    pub fn keep(
        &self,
        customer_id: &str,
        known: &Arc<WarmHistory>,
        model: ModelName,
        prepared: PreparedScore,
    ) {
        let cache = &self.0.warm;
        let (history, kept) = (known.history.clone(), Some(KeptScore { model, prepared }));
        let warm = Arc::new(WarmHistory { history, asked: AtomicBool::new(true), kept });
        // While this lock is held nothing is forgotten or completed.
        let _pending = self.pending();
        if cache.peek(customer_id).is_some_and(|now| Arc::ptr_eq(&now, known)) {
            cache.insert(customer_id.into(), warm);
        }
    }

    /// Runs a write about these customers. Afterwards, however it ended, they are read again.
    ///
    /// # Errors
    /// Those of the write.
    pub async fn invalidate_after<T>(
        &self,
        customer_ids: Vec<String>,
        write: impl Future<Output = tally_store::Result<T>>,
    ) -> Result<T> {
        struct Forget<'a>(&'a Histories, Vec<String>);
        impl Drop for Forget<'_> {
            fn drop(&mut self) {
                self.0.forget(&self.1);
            }
        }
        let _afterwards = Forget(self, customer_ids);
        Ok(write.await?)
    }

    /// Sets the gauges to what is in memory now.
    pub fn update_gauges(&self) {
        self.0.metrics.customers.set(self.0.warm.len() as i64);
        self.0.metrics.bytes.set(self.0.warm.weight() as i64);
    }

    /// Drops what other servers change, until it is cancelled.
    pub async fn follow_changes(self) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = None;
        loop {
            ticks.tick().await;
            let began = self.0.begin.elapsed().as_millis() as u64 + 1;
            if began - self.0.polled.load(Ordering::Acquire) > FORGET_AFTER.as_millis() as u64 {
                // Others may have pruned changes that were never seen here.
                self.forget_all();
                seen = None;
            }
            match self.poll(&mut seen).await {
                Ok(()) => self.0.polled.store(began, Ordering::Release),
                // Readiness reports the store's health; here it is enough that the cache is not fresh.
                Err(error) => tracing::debug!(%error, "the changes of other servers cannot be read"),
            }
        }
    }

    async fn poll(&self, seen: &mut Option<SeenChanges>) -> Result<()> {
        let store = &*self.0.store;
        let seen = match seen {
            Some(seen) => seen,
            None => {
                self.0.survivors.set_outdated();
                seen.insert(SeenChanges::start(store).await?)
            }
        };
        let changed = |change: &Change| {
            self.forget(&change.customer_ids);
            if change.erasure {
                // Whose data was erased is not noted.
                self.forget_all();
            }
            if change.merges {
                self.0.survivors.set_outdated();
            }
        };
        seen.poll(store, changed).await?;
        self.0.survivors.refresh(store).await
    }

    /// The customers that these ids are: merged ids become those that they are merged into.
    #[must_use]
    pub fn survivors(&self, customer_ids: Vec<String>) -> Vec<String> {
        self.0.survivors.of_all(customer_ids)
    }

    /// Which ids are merged into others.
    pub(crate) fn merges(&self) -> &Survivors {
        &self.0.survivors
    }

    /// Reads which ids are merged into others.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load_merges(&self) -> Result<()> {
        self.0.survivors.set_outdated();
        self.0.survivors.refresh(&*self.0.store).await
    }

    fn is_fresh(&self) -> bool {
        let polled = self.0.polled.load(Ordering::Acquire);
        polled > 0 && self.0.begin.elapsed() < Duration::from_millis(polled) + FRESH
    }

    fn pending(&self) -> MutexGuard<'_, PendingReads> {
        // No critical section leaves the reads half changed.
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets these customers, and those that they are merged into.
    pub fn forget(&self, customer_ids: &[String]) {
        let survivors = self.0.survivors.among(customer_ids);
        let mut pending = self.pending();
        for customer_id in customer_ids.iter().chain(&survivors) {
            pending.forget(customer_id);
            self.0.warm.remove(customer_id.as_str());
        }
    }

    fn forget_all(&self) {
        let mut pending = self.pending();
        pending.forget_all();
        self.0.warm.clear();
    }

    /// Joins the pending reads of these customers, or begins new ones.
    fn read<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<oneshot::Receiver<Found>> {
        let mut pending = self.pending();
        let receivers = ids.map(|id| pending.join(id)).collect();
        if pending.begin_statement() {
            tokio::spawn(self.clone().fetch());
        }
        receivers
    }

    /// Runs statement after statement until no read is queued.
    async fn fetch(self) {
        loop {
            let Some((numbers, ids)) = self.pending().next_statement() else { return };
            let store = Arc::clone(&self.0.store);
            // A task of its own: should it panic, its waiters get an error and other reads go on.
            let read = tokio::spawn(async move { store.histories(&ids).await });
            let found = match read.await {
                Ok(found) => found.map_err(Error::from),
                Err(error) => Err(Error::Internal(format!("a read of histories panicked: {error}"))),
            };
            self.complete(numbers, found);
        }
    }

    fn complete(&self, numbers: Vec<u64>, found: Result<Vec<Option<Packed>>>) {
        let warm = |history: Option<Packed>| Ok(history.map(|history| Arc::new(WarmHistory::new(history))));
        let found: Vec<Found> = match found {
            Ok(histories) => histories.into_iter().map(warm).collect(),
            Err(error) => numbers.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut pending = self.pending();
        for (number, found) in numbers.into_iter().zip(found) {
            pending.complete(number, &found, |customer_id, history| {
                self.0.warm.insert(customer_id, history);
            });
        }
    }
}
