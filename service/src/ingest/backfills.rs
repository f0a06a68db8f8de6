//! Backfills beside scores that are being stored. A backfill marks the stored predictions whose past it changes, but
//! one that was computed before it and is stored after it is not among them. Whoever stores scores watches for
//! backfills meanwhile, and marks those predictions.
//!
//! This holds within one process, as the [write barrier](super::write_barrier) does.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tally_model::time::Time;

/// Knows the backfills that have begun while scores are being stored. Clones share it.
#[derive(Clone, Default)]
pub struct Backfills(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    watching: usize,
    /// Backfills are numbered in the order in which they begin.
    last: u64,
    /// The latest backfill of each customer since somebody has been watching, and its record time.
    latest: HashMap<String, (u64, Time)>,
}

/// Sees the backfills that begin until it is dropped.
pub struct BackfillWatch {
    backfills: Backfills,
    /// The last one before.
    since: u64,
}

impl Backfills {
    /// Begins to watch, before waiting for the writes in flight and before any history is read.
    #[must_use]
    pub fn watch(&self) -> BackfillWatch {
        let mut seen = self.seen();
        seen.watching += 1;
        BackfillWatch { backfills: self.clone(), since: seen.last }
    }

    /// Notes a backfill about these customers, after it has entered the write barrier and before it is written.
    pub(super) fn begin<'a>(&self, customer_ids: impl IntoIterator<Item = &'a String>, record_time: Time) {
        let mut seen = self.seen();
        if seen.watching > 0 {
            seen.last += 1;
            let last = seen.last;
            seen.latest.extend(customer_ids.into_iter().map(|id| (id.clone(), (last, record_time))));
        }
    }

    // No critical section leaves it half changed.
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BackfillWatch {
    /// When the last backfill of a customer since the beginning was recorded; None if there was none.
    pub fn of(&self, customer_id: &str) -> Option<Time> {
        let seen = self.backfills.seen();
        seen.latest.get(customer_id).filter(|(number, _)| *number > self.since).map(|(_, time)| *time)
    }
}

impl Drop for BackfillWatch {
    fn drop(&mut self) {
        let mut seen = self.backfills.seen();
        seen.watching -= 1;
        if seen.watching == 0 {
            seen.latest = HashMap::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_sees_the_backfills_that_begin_after_it() {
        let (backfills, ids) =
            (Backfills::default(), [["a", "b"], ["b", "c"]].map(|ids| ids.map(str::to_owned)));
        backfills.begin(&ids[0], Time(1));
        let first = backfills.watch();
        assert_eq!(first.of("a"), None, "it was over, or is waited for");
        backfills.begin(&ids[0], Time(2));
        let second = backfills.watch();
        backfills.begin(&ids[1], Time(3));
        assert_eq!(["a", "b", "c"].map(|id| first.of(id)), [Some(Time(2)), Some(Time(3)), Some(Time(3))]);
        assert_eq!(["a", "b", "c"].map(|id| second.of(id)), [None, Some(Time(3)), Some(Time(3))]);
        drop((first, second));
        assert!(backfills.seen().latest.is_empty());
        assert_eq!(backfills.watch().of("b"), None);
    }
}
