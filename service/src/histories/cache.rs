//! Warm histories: what scoring reads of customers, kept packed in memory and bounded by bytes.
//!
//! Not scores are kept but histories, and what a model makes of one as long as nothing but its clocks run
//! ([`PreparedScore`]): so a warm answer is as fresh as the moment it is asked for, and the same bits as a cold one. Both
//! are dropped
//! - at once when this server writes something of the customer, before the write is acknowledged;
//! - within a second when another server on the same database does: every write leaves a row in
//!   `changes`, which is looked at several times a second ([`Histories::watch`]). While that cannot
//!   be read, nothing is answered from memory.
//!
//! Misses of the same customer wait for one read. Misses of different customers that come while reads
//! are under way are fetched together, in one statement.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use quick_cache::{Weighter, sync::Cache};
use tally_model::{history::Packed, scoring::PreparedScore};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

use crate::{
    catalog::models::ModelName,
    platform::error::{Error, Result},
    platform::metrics::Metrics,
};
use tally_store::Store;

/// How often changes by others are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What others write is seen here within this time.
const FRESH: Duration = Duration::from_secs(1);
/// Statements that fetch histories at the same time, at most.
const STATEMENTS: usize = 4;
/// Customers of one statement, at most.
const STATEMENT_IDS: usize = 1_000;
/// About how much is kept of a customer; only the cache's first allocation follows from it.
const USUAL_BYTES: u64 = 3_000;
/// What an entry takes beside what is kept of the customer and its id.
const ENTRY_BYTES: usize = 140;
/// What the allocation of a part of it takes beside its bytes, about.
const ALLOCATION_BYTES: usize = 16;
/// A change whose number was skipped is waited for so long: its transaction may still be under way.
const LATE: Duration = Duration::from_secs(600);
/// After so long without a look everything is read anew: well before others remove changes.
const FORGOTTEN: Duration = Duration::from_secs(300);
/// So many of the latest changes are looked through at the start for skipped numbers.
const BEFORE_START: i64 = 1_000;

/// Histories, from memory where they are warm. Clones share them.
#[derive(Clone)]
pub struct Histories(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    warm: Cache<Box<str>, Arc<Warm>, Bytes>,
    flights: Mutex<PendingReads>,
    begin: Instant,
    /// When the look that succeeded last began, in milliseconds after `begin`, plus 1; 0 for never.
    looked: AtomicU64,
}

/// What is kept of a customer.
#[derive(Debug)]
pub struct Warm {
    /// What happened.
    pub history: Packed,
    /// Whether a score was asked for already.
    asked: AtomicBool,
    /// What the model that was asked last makes of it.
    kept: Option<Kept>,
}

/// What a model makes of a customer.
#[derive(Debug)]
struct Kept {
    model: ModelName,
    prepared: PreparedScore,
}

impl Warm {
    const fn new(history: Packed) -> Self {
        Self { history, asked: AtomicBool::new(false), kept: None }
    }

    /// Notes that a score is asked for, and tells whether that was so before. Many customers are asked for once:
    /// only for the others it pays to keep more than the history.
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
        let kept = self
            .kept
            .as_ref()
            .map_or(0, |Kept { prepared, .. }| prepared.bytes() + PreparedScore::PARTS * ALLOCATION_BYTES);
        size_of::<Self>() + self.history.as_bytes().len() + kept
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<Box<str>, Arc<Warm>> for Bytes {
    fn weight(&self, customer_id: &Box<str>, warm: &Arc<Warm>) -> u64 {
        (customer_id.len() + warm.bytes() + ENTRY_BYTES) as u64
    }
}

/// What a read finds; None for an unknown customer.
type Found = Result<Option<Arc<Warm>>>;

/// The reads that are waited for.
#[derive(Default)]
struct PendingReads {
    last: u64,
    all: HashMap<u64, Flight>,
    /// Those whose result will be what is stored. A read that a write has overtaken is not among them.
    current: HashMap<Box<str>, u64>,
    /// Not begun yet.
    waiting: VecDeque<u64>,
    statements: usize,
}

struct Flight {
    customer_id: Box<str>,
    waiters: Vec<oneshot::Sender<Found>>,
}

impl Histories {
    /// An empty cache of at most so many bytes.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, bytes: u64, metrics: Arc<Metrics>) -> Self {
        let items = (bytes / USUAL_BYTES).clamp(16, 1 << 20) as usize;
        Self(Arc::new(Shared {
            store,
            metrics,
            warm: Cache::with_weighter(items, bytes, Bytes),
            flights: Mutex::default(),
            begin: Instant::now(),
            looked: AtomicU64::new(0),
        }))
    }

    /// What is known of these customers in the order asked; None for an unknown one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, customer_ids: &[String]) -> Result<Vec<Option<Arc<Warm>>>> {
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
        let metrics = &self.0.metrics;
        metrics.warm_hits.inc_by((found.len() - missing.len()) as u64);
        if missing.is_empty() {
            return Ok(found);
        }
        metrics.warm_misses.inc_by(missing.len() as u64);
        let reads = self.read(missing.iter().map(|n| customer_ids[*n].as_str()));
        for (n, read) in missing.into_iter().zip(reads) {
            found[n] =
                read.await.map_err(|_| Error::Internal("a read of a history was given up".into()))??;
        }
        Ok(found)
    }

    /// Whether there is room for more than histories, which come first.
    #[must_use]
    pub fn have_room(&self) -> bool {
        self.0.warm.weight() < self.0.warm.capacity() / 8 * 7
    }

    /// Keeps what a model makes of a customer, unless something else is known of it by now.
    pub fn keep(&self, customer_id: &str, known: &Arc<Warm>, model: ModelName, prepared: PreparedScore) {
        let cache = &self.0.warm;
        let (history, kept) = (known.history.clone(), Some(Kept { model, prepared }));
        let warm = Arc::new(Warm { history, asked: AtomicBool::new(true), kept });
        // While this is held nothing is forgotten, nor read anew.
        let _flights = self.flights();
        if cache.peek(customer_id).is_some_and(|now| Arc::ptr_eq(&now, known)) {
            cache.insert(customer_id.into(), warm);
        }
    }

    /// Runs a write that concerns these customers. When it is over, whatever came of it, they are read anew.
    ///
    /// # Errors
    /// Those of the write.
    pub async fn around<T>(
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
        let _after = Forget(self, customer_ids);
        Ok(write.await?)
    }

    /// Customers and bytes in memory.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        (self.0.warm.len(), self.0.warm.weight())
    }

    /// Drops what others change, again and again.
    pub async fn watch(self) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = None;
        loop {
            ticks.tick().await;
            let began = self.0.begin.elapsed().as_millis() as u64 + 1;
            if began - self.0.looked.load(Ordering::Acquire) > FORGOTTEN.as_millis() as u64 {
                // Others may have removed changes that were never seen here.
                self.forget_all();
                changes = None;
            }
            match self.poll(&mut changes).await {
                Ok(()) => self.0.looked.store(began, Ordering::Release),
                // Whoever looks after the store's health says so; here it is enough not to be fresh.
                Err(error) => tracing::debug!(%error, "changes cannot be read"),
            }
        }
    }

    async fn poll(&self, seen: &mut Option<Seen>) -> Result<()> {
        let seen = match seen {
            Some(seen) => seen,
            None => {
                let last = self.0.store.last_change().await?;
                seen.insert(Seen::from(last - BEFORE_START))
            }
        };
        loop {
            let late: Vec<i64> = seen.late.keys().copied().collect();
            let changes = self.0.store.changes(seen.last, &late).await?;
            let none = changes.is_empty();
            for change in changes {
                seen.note(change.change_id);
                self.forget(&change.customer_ids);
            }
            if none {
                break;
            }
        }
        if let Some(over) = seen.over() {
            self.0.store.prune_changes(over).await?;
        }
        Ok(())
    }

    fn is_fresh(&self) -> bool {
        let looked = self.0.looked.load(Ordering::Acquire);
        looked > 0 && self.0.begin.elapsed() < Duration::from_millis(looked) + FRESH
    }

    fn flights(&self) -> MutexGuard<'_, PendingReads> {
        // Nothing in the critical sections leaves the flights half changed.
        self.0.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, customer_ids: &[String]) {
        let mut flights = self.flights();
        for customer_id in customer_ids {
            flights.current.remove(customer_id.as_str());
            self.0.warm.remove(customer_id.as_str());
        }
    }

    fn forget_all(&self) {
        let mut flights = self.flights();
        flights.current.clear();
        self.0.warm.clear();
    }

    /// Joins the reads under way, or asks for new ones.
    fn read<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<oneshot::Receiver<Found>> {
        let mut flights = self.flights();
        let flights = &mut *flights;
        let mut receivers = Vec::new();
        for id in ids {
            let (waiter, receiver) = oneshot::channel();
            receivers.push(receiver);
            let under_way = flights.current.get(id).and_then(|number| flights.all.get_mut(number));
            if let Some(flight) = under_way {
                flight.waiters.push(waiter);
                continue;
            }
            flights.last += 1;
            flights.all.insert(flights.last, Flight { customer_id: id.into(), waiters: vec![waiter] });
            flights.current.insert(id.into(), flights.last);
            flights.waiting.push_back(flights.last);
        }
        if !flights.waiting.is_empty() && flights.statements < STATEMENTS {
            flights.statements += 1;
            tokio::spawn(self.clone().fetch());
        }
        receivers
    }

    /// Fetches what waits, statement by statement, until nothing does.
    async fn fetch(self) {
        loop {
            let Some((numbers, ids)) = self.next_statement() else { return };
            let store = Arc::clone(&self.0.store);
            // In a task of its own: should it panic, its waiters are told and the others go on.
            let read = tokio::spawn(async move { store.histories(&ids).await });
            let found = match read.await {
                Ok(found) => found.map_err(Error::from),
                Err(error) => Err(Error::Internal(format!("a read of histories panicked: {error}"))),
            };
            self.complete(numbers, found);
        }
    }

    fn next_statement(&self) -> Option<(Vec<u64>, Vec<String>)> {
        let mut flights = self.flights();
        let many = flights.waiting.len().min(STATEMENT_IDS);
        if many == 0 {
            flights.statements -= 1;
            return None;
        }
        let numbers: Vec<u64> = flights.waiting.drain(..many).collect();
        let id = |number: &u64| flights.all.get(number).map(|flight| flight.customer_id.to_string());
        let ids = numbers.iter().filter_map(id).collect();
        Some((numbers, ids))
    }

    fn complete(&self, numbers: Vec<u64>, found: Result<Vec<Option<Packed>>>) {
        let warm = |history: Option<Packed>| Ok(history.map(|history| Arc::new(Warm::new(history))));
        let found: Vec<Found> = match found {
            Ok(histories) => histories.into_iter().map(warm).collect(),
            Err(error) => numbers.iter().map(|_| Err(error.clone())).collect(),
        };
        let mut flights = self.flights();
        for (number, found) in numbers.into_iter().zip(found) {
            let Some(flight) = flights.all.remove(&number) else { continue };
            // A write in between has put another flight, or none, in its place.
            if flights.current.get(&flight.customer_id) == Some(&number) {
                flights.current.remove(&flight.customer_id);
                if let Ok(Some(warm)) = &found {
                    self.0.warm.insert(flight.customer_id, Arc::clone(warm));
                }
            }
            for waiter in flight.waiters {
                // Whoever asked may have gone.
                let _ = waiter.send(found.clone());
            }
        }
    }
}

/// Which changes have been seen. Numbers are given before transactions commit, so that a greater one
/// may come to light first.
struct Seen {
    last: i64,
    /// Numbers below `last` that were not there yet, and since when.
    late: BTreeMap<i64, Instant>,
    /// All up to the first were there at the second: what is that old has been seen by everybody.
    mark: (i64, Instant),
}

impl Seen {
    fn from(last: i64) -> Self {
        let last = last.max(0);
        Self { last, late: BTreeMap::new(), mark: (last, Instant::now()) }
    }

    fn note(&mut self, change_id: i64) {
        let now = Instant::now();
        self.late.remove(&change_id);
        self.late.extend((self.last + 1..change_id).map(|skipped| (skipped, now)));
        self.last = self.last.max(change_id);
    }

    /// Once in a while, the greatest number of those that nobody needs any more.
    fn over(&mut self) -> Option<i64> {
        if self.mark.1.elapsed() < LATE {
            return None;
        }
        self.late.retain(|_, since| since.elapsed() < LATE);
        let over = self.mark.0;
        self.mark = (self.last, Instant::now());
        Some(over)
    }
}
