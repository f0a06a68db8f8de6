//! How long a request that makes many scores may hold its worker.

use std::time::{Duration, Instant};

/// Lets other requests run on the worker now and then. The many scores of one request are made on the
/// worker that answers it: handing a few of them to another thread would cost more than making them.
pub(super) struct YieldBudget(Instant);

impl YieldBudget {
    /// The longest that others wait, unless a single score takes longer.
    const TURN: Duration = Duration::from_micros(200);
    /// The clock is read once in this many scores.
    const STEP: usize = 8;

    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    /// Yields when the turn is over; `done` counts the scores.
    pub(super) async fn spend(&mut self, done: usize) {
        if done.is_multiple_of(Self::STEP) && self.0.elapsed() > Self::TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
}
