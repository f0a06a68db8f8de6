//! Rows that a mapping leaves out, counted by reason.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// How many rows a mapping has left out, by reason. Shared with the reader of the rows, which is moved to another
/// thread.
#[derive(Debug, Default)]
pub(in crate::import) struct LeftOut(Mutex<BTreeMap<String, u64>>);

impl LeftOut {
    pub(super) fn add(&self, reason: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(reason) {
            Some(count) => *count += 1,
            None => drop(counts.insert(reason.to_owned(), 1)),
        }
    }

    /// The reasons with the number of rows of each. A reason is a clause such as "`Status` is not Paid".
    pub(in crate::import) fn reasons(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(reason, count)| (reason.clone(), *count)).collect()
    }
}
