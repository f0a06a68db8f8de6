//! Who watches alerts is woken when there are new ones: each server reads the number of the last one several times a
//! second, so that those of other servers arrive as well.

use std::time::Duration;

use tally_store::Store;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often the number of the last alert is read.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// The state that watchers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedState {
    /// The sequence of the last alert.
    pub last: i64,
    /// Whether the server stops, so that watches end.
    pub closing: bool,
}

/// Wakes those who watch alerts. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct AlertFeed(watch::Sender<FeedState>);

impl AlertFeed {
    /// The state, and its changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<FeedState> {
        self.0.subscribe()
    }

    /// Ends all watches.
    pub fn close(&self) {
        self.0.send_modify(|state| state.closing = true);
    }

    pub(super) async fn run(&self, store: &dyn Store) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match store.last_alert().await {
                Ok(last) => {
                    self.0.send_if_modified(|state| std::mem::replace(&mut state.last, last) != last);
                }
                Err(error) => tracing::debug!(%error, "the last alert cannot be read"),
            }
        }
    }
}
