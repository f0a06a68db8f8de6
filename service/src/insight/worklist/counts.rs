//! How many customers need which kinds of work, kept in memory for the pass that was asked for last: counting all
//! customers takes longer than reading a page.

use std::sync::{Arc, Mutex, PoisonError};

use tally_store::{Pass, WorkCount};

/// A pass and its revision, and the counts.
type Kept = ((i64, i64), Arc<[WorkCount]>);

/// The counts of one pass.
#[derive(Default)]
pub(in crate::insight) struct CountCache(Mutex<Option<Kept>>);

impl CountCache {
    pub(super) fn get(&self, pass: &Pass) -> Option<Arc<[WorkCount]>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref()
            .filter(|(of, _)| *of == (pass.pass_id, pass.revision))
            .map(|(_, counts)| Arc::clone(counts))
    }

    pub(super) fn keep(&self, pass: &Pass, counts: Arc<[WorkCount]>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Some(((pass.pass_id, pass.revision), counts));
    }
}
