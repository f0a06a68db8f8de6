//! The sums of segments, kept in memory: a pass does not change but for customers that are erased or merged, which its
//! revision tells, so that they need not be summed again for every look at them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tally_model::insight::Segmentation;
use tally_store::{Pass, SegmentSums};

/// Lists that are kept.
const LISTS: usize = 256;
/// The segments of a list that is kept; an attribute may have any number.
const LONGEST: usize = 200;

/// What the sums are of: a pass, its revision, and what divides its customers.
type Key = (i64, i64, Segmentation);

/// Sums of segments by what they are of.
#[derive(Default)]
pub(super) struct SegmentCache(Mutex<HashMap<Key, Arc<[SegmentSums]>>>);

impl SegmentCache {
    pub(super) fn get(&self, pass: &Pass, segmentation: &Segmentation) -> Option<Arc<[SegmentSums]>> {
        self.lists().get(&key(pass, segmentation)).cloned()
    }

    pub(super) fn keep(&self, pass: &Pass, segmentation: &Segmentation, sums: &[SegmentSums]) {
        if sums.len() > LONGEST {
            return;
        }
        let mut lists = self.lists();
        if lists.len() >= LISTS {
            lists.clear();
        }
        lists.insert(key(pass, segmentation), sums.into());
    }

    /// The map is whole also after a panic elsewhere.
    fn lists(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<[SegmentSums]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(pass: &Pass, segmentation: &Segmentation) -> Key {
    (pass.pass_id, pass.revision, segmentation.clone())
}
