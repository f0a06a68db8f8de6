//! Changes that other servers on the same database make: every write leaves a row in `changes`, which
//! each server reads several times a second.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tally_store::{Change, Store};

use crate::platform::error::Result;

/// How long a skipped change number is waited for: its transaction may still be running.
const LATE: Duration = Duration::from_secs(600);
/// How many of the latest changes are read at the start, to find skipped numbers.
const BEFORE_START: i64 = 1_000;

/// The changes that this server has seen. Numbers are drawn before transactions commit, so that a
/// greater number may become visible first.
pub(super) struct SeenChanges {
    last: i64,
    /// Numbers below `last` that are not visible yet, and since when they are waited for.
    late: BTreeMap<i64, Instant>,
    /// `last` as it was at a moment. Once that is long ago, every server has seen what is up to it.
    mark: (i64, Instant),
}

impl SeenChanges {
    /// Starts a little before the last change.
    pub(super) async fn start(store: &dyn Store) -> Result<Self> {
        let last = (store.last_change().await? - BEFORE_START).max(0);
        Ok(Self { last, late: BTreeMap::new(), mark: (last, Instant::now()) })
    }

    /// Reads the changes that became visible, and passes each to `changed`. Now and then removes the
    /// changes that every server has seen.
    pub(super) async fn poll(&mut self, store: &dyn Store, changed: impl Fn(&Change)) -> Result<()> {
        loop {
            let late: Vec<i64> = self.late.keys().copied().collect();
            let changes = store.changes(self.last, &late).await?;
            if changes.is_empty() {
                break;
            }
            for change in changes {
                self.note(change.change_id);
                changed(&change);
            }
        }
        if let Some(up_to) = self.prunable() {
            store.prune_changes(up_to).await?;
        }
        Ok(())
    }

    fn note(&mut self, change_id: i64) {
        let now = Instant::now();
        self.late.remove(&change_id);
        self.late.extend((self.last + 1..change_id).map(|skipped| (skipped, now)));
        self.last = self.last.max(change_id);
    }

    /// Once in a while, the greatest number of the changes that no server needs any more.
    fn prunable(&mut self) -> Option<i64> {
        if self.mark.1.elapsed() < LATE {
            return None;
        }
        self.late.retain(|_, since| since.elapsed() < LATE);
        let prunable = self.mark.0;
        self.mark = (self.last, Instant::now());
        Some(prunable)
    }
}
