//! Survivors: which ids are merged into others. Every request about a customer asks for that, so it is kept in memory;
//! while no ids are merged, asking takes one read of an atomic.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tally_store::Store;
use tokio::sync::Mutex;

use crate::platform::error::Result;

/// Each merged id with the customer that it is, its survivor.
#[derive(Default)]
pub(crate) struct Survivors {
    by_id: RwLock<HashMap<String, String>>,
    /// Whether `by_id` has any.
    any: AtomicBool,
    /// Whether the store may have others.
    outdated: AtomicBool,
    /// Held by who reads all merges and by who writes one, so that what was read does not replace what was written
    /// meanwhile.
    changing: Mutex<()>,
}

impl Survivors {
    /// The customer that this id is merged into; None for one that is not merged.
    pub(crate) fn of(&self, customer_id: &str) -> Option<String> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.read(|by_id| by_id.get(customer_id).cloned())
    }

    /// The ids, with the survivor in place of each merged one.
    pub(super) fn of_all(&self, mut customer_ids: Vec<String>) -> Vec<String> {
        if self.any.load(Ordering::Acquire) {
            self.read(|by_id| {
                for id in &mut customer_ids {
                    if let Some(survivor) = by_id.get(id) {
                        id.clone_from(survivor);
                    }
                }
            });
        }
        customer_ids
    }

    /// The survivors of those ids that are merged.
    pub(crate) fn among(&self, customer_ids: &[String]) -> Vec<String> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.read(|by_id| customer_ids.iter().filter_map(|id| by_id.get(id).cloned()).collect())
    }

    /// Notes that the store may have other merges, which [`refresh`](Self::refresh) reads then.
    pub(super) fn set_outdated(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    /// Reads all merges, if they may have changed.
    pub(super) async fn refresh(&self, store: &dyn Store) -> Result<()> {
        if !self.outdated.load(Ordering::Acquire) {
            return Ok(());
        }
        let _changing = self.changing.lock().await;
        self.outdated.store(false, Ordering::Release);
        match store.merges().await {
            Ok(merges) => {
                self.write(|by_id| *by_id = merges.into_iter().collect());
                Ok(())
            }
            Err(error) => {
                self.set_outdated();
                Err(error.into())
            }
        }
    }

    /// Runs a write that merges or erases customers; `update` brings what is kept here up to date. Should the write
    /// fail, what the store has is read again.
    pub(crate) async fn change<T>(
        &self,
        write: impl Future<Output = tally_store::Result<T>>,
        update: impl FnOnce(&Self, &T),
    ) -> tally_store::Result<T> {
        let _changing = self.changing.lock().await;
        let result = write.await;
        match &result {
            Ok(done) => update(self, done),
            Err(_) => self.set_outdated(),
        }
        result
    }

    /// Notes that `from` is merged into the survivor.
    pub(crate) fn merged(&self, from: &str, survivor: &str) {
        self.write(|by_id| {
            by_id.values_mut().filter(|id| *id == from).for_each(|id| survivor.clone_into(id));
            by_id.insert(from.to_owned(), survivor.to_owned());
        });
    }

    /// Notes that the survivor is erased, with all ids that are merged into it.
    pub(crate) fn erased(&self, survivor: &str) {
        self.write(|by_id| by_id.retain(|_, id| id != survivor));
    }

    // No critical section leaves the map half changed.
    fn read<T>(&self, f: impl FnOnce(&HashMap<String, String>) -> T) -> T {
        f(&self.by_id.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self, f: impl FnOnce(&mut HashMap<String, String>)) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        f(&mut by_id);
        self.any.store(!by_id.is_empty(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_survivor_takes_its_ids_along() {
        let survivors = Survivors::default();
        assert_eq!(survivors.of("a"), None);
        survivors.merged("a", "b");
        survivors.merged("b", "c");
        assert_eq!(survivors.of_all(["a", "b", "c", "d"].map(str::to_owned).to_vec()), ["c", "c", "c", "d"]);
        assert_eq!(survivors.among(&["d".to_owned(), "b".to_owned()]), ["c"]);
        survivors.erased("c");
        assert_eq!((survivors.of("a"), survivors.any.load(Ordering::Relaxed)), (None, false));
    }
}
