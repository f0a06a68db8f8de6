//! Reads of histories that somebody waits for: misses of one customer share a read, and misses of
//! different customers that come while statements run are fetched together, in one statement.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::sync::oneshot;

use super::WarmHistory;
use crate::platform::error::Result;

/// The most statements that fetch histories at the same time.
const STATEMENTS: usize = 4;
/// The most customers of one statement.
const STATEMENT_IDS: usize = 1_000;

/// What a read finds; None for an unknown customer.
pub(super) type Found = Result<Option<Arc<WarmHistory>>>;

/// The reads that are queued or running.
#[derive(Default)]
pub(super) struct PendingReads {
    last: u64,
    all: HashMap<u64, PendingRead>,
    /// The reads whose result is what is stored. A read that a write has overtaken is not among them.
    current: HashMap<Box<str>, u64>,
    /// The reads that no statement has taken yet.
    queued: VecDeque<u64>,
    statements: usize,
}

struct PendingRead {
    customer_id: Box<str>,
    waiters: Vec<oneshot::Sender<Found>>,
}

impl PendingReads {
    /// Joins the read of this customer, or queues one.
    pub(super) fn join(&mut self, customer_id: &str) -> oneshot::Receiver<Found> {
        let (waiter, receiver) = oneshot::channel();
        match self.current.get(customer_id).and_then(|number| self.all.get_mut(number)) {
            Some(read) => read.waiters.push(waiter),
            None => self.queue(customer_id, waiter),
        }
        receiver
    }

    fn queue(&mut self, customer_id: &str, waiter: oneshot::Sender<Found>) {
        self.last += 1;
        self.all.insert(self.last, PendingRead { customer_id: customer_id.into(), waiters: vec![waiter] });
        self.current.insert(customer_id.into(), self.last);
        self.queued.push_back(self.last);
    }

    /// Whether the caller must begin to fetch; the reads then count on it to go on until none is queued.
    pub(super) fn begin_statement(&mut self) -> bool {
        let begin = !self.queued.is_empty() && self.statements < STATEMENTS;
        self.statements += usize::from(begin);
        begin
    }

    /// The reads of the next statement and their customers; None ends the fetching.
    pub(super) fn next_statement(&mut self) -> Option<(Vec<u64>, Vec<String>)> {
        let count = self.queued.len().min(STATEMENT_IDS);
        if count == 0 {
            self.statements -= 1;
            return None;
        }
        let numbers: Vec<u64> = self.queued.drain(..count).collect();
        let id = |number: &u64| self.all.get(number).map(|read| read.customer_id.to_string());
        let ids = numbers.iter().filter_map(id).collect();
        Some((numbers, ids))
    }

    /// Completes a read: its waiters get what was found. `keep` gets it, too, unless a write came between.
    pub(super) fn complete(
        &mut self,
        number: u64,
        found: &Found,
        keep: impl FnOnce(Box<str>, Arc<WarmHistory>),
    ) {
        let Some(read) = self.all.remove(&number) else { return };
        // A write in between has put another read, or none, in its place.
        if self.current.get(&read.customer_id) == Some(&number) {
            self.current.remove(&read.customer_id);
            if let Ok(Some(history)) = found {
                keep(read.customer_id, Arc::clone(history));
            }
        }
        for waiter in read.waiters {
            // The waiter may have gone.
            let _ = waiter.send(found.clone());
        }
    }

    /// Makes the reads of this customer outdated: later callers queue a new one.
    pub(super) fn forget(&mut self, customer_id: &str) {
        self.current.remove(customer_id);
    }

    /// Makes all reads outdated.
    pub(super) fn forget_all(&mut self) {
        self.current.clear();
    }
}
