//! The write barrier: a score that is stored misses no write that it must count.
//!
//! A write takes its record time before its transaction commits. A score whose `known_at` falls between
//! the two would not see the rows, but its replay would: by then they are stored, with a record time not
//! later than `known_at`. So a write enters the barrier before it takes its record time, and a score that
//! is to be stored first takes its `known_at` and then waits for the writes that are in flight. Every
//! later write has a later record time ([`Clock::now`](crate::platform::clock::Clock::now) never returns
//! the same time twice), so it neither waits nor is waited for.
//!
//! The barrier holds within one process. It cannot see the writes of other servers on the same database;
//! should one of them matter, the replay says so.

use std::collections::BTreeSet;

use tokio::sync::watch;

use super::backfills::Backfills;
use crate::platform::error::{Error, Result};

/// Knows the writes in flight, and the backfills among them. Clones share them.
#[derive(Clone, Default)]
pub struct WriteBarrier {
    writes: watch::Sender<InFlight>,
    backfills: Backfills,
}

/// Writes are numbered in the order in which they enter.
#[derive(Default)]
struct InFlight {
    last: u64,
    numbers: BTreeSet<u64>,
}

/// A write in flight, until it is dropped.
pub struct InFlightWrite {
    barrier: WriteBarrier,
    number: u64,
}

impl WriteBarrier {
    /// Enters a write, which takes its record time after that.
    #[must_use]
    pub fn enter(&self) -> InFlightWrite {
        let mut number = 0;
        self.writes.send_if_modified(|in_flight| {
            in_flight.last += 1;
            number = in_flight.last;
            in_flight.numbers.insert(number);
            // Nobody waits for a write to enter.
            false
        });
        InFlightWrite { barrier: self.clone(), number }
    }

    /// Waits until the writes that have entered so far are over; returns at once when there are none.
    pub async fn wait_for_in_flight(&self) {
        let mut in_flight = self.writes.subscribe();
        let last = in_flight.borrow().last;
        let over = |in_flight: &InFlight| in_flight.numbers.first().is_none_or(|first| *first > last);
        // The sender lives in `self`.
        let _ = in_flight.wait_for(over).await;
    }
}

impl WriteBarrier {
    /// Backfills and those who watch for them.
    #[must_use]
    pub const fn backfills(&self) -> &Backfills {
        &self.backfills
    }
}

impl InFlightWrite {
    /// Runs the write to its end, whatever becomes of the caller, and leaves the barrier then.
    ///
    /// # Errors
    /// Those of the write; INTERNAL when it panics.
    pub async fn finish<T: Send + 'static>(
        self,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let span = tracing::Span::current();
        let whole = async move {
            let result = write.await;
            drop(self);
            result
        };
        let task = tokio::spawn(tracing::Instrument::instrument(whole, span));
        task.await.map_err(|error| Error::Internal(format!("a write panicked: {error}")))?
    }
}

impl Drop for InFlightWrite {
    fn drop(&mut self) {
        self.barrier.writes.send_modify(|in_flight| {
            in_flight.numbers.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::pending};

    use super::*;

    #[tokio::test]
    async fn writes_that_entered_before_are_waited_for_and_no_others() {
        let barrier = WriteBarrier::default();
        assert!(barrier.wait_for_in_flight().now_or_never().is_some(), "no write is in flight");
        let (first, second) = (barrier.enter(), barrier.enter());
        let mut waiting = Box::pin(barrier.wait_for_in_flight());
        assert!(waiting.as_mut().now_or_never().is_none());
        let third = barrier.enter();
        let mut later = Box::pin(barrier.wait_for_in_flight());
        assert!(later.as_mut().now_or_never().is_none());
        drop(second);
        assert!(waiting.as_mut().now_or_never().is_none(), "the first is still in flight");
        drop(first);
        assert!(waiting.as_mut().now_or_never().is_some(), "the third entered later");
        assert!(later.as_mut().now_or_never().is_none());
        drop(third);
        assert!(later.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_write_goes_on_when_its_caller_is_gone() {
        let barrier = WriteBarrier::default();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let mut call = Box::pin(barrier.enter().finish(async move { Ok(ended.await) }));
        assert!(call.as_mut().now_or_never().is_none());
        drop(call);
        let mut waiting = Box::pin(barrier.wait_for_in_flight());
        assert!(waiting.as_mut().now_or_never().is_none());
        end.send(()).unwrap();
        waiting.await;
        // Neither a write that is dropped before it has begun nor one that panics leaves anybody waiting.
        drop(barrier.enter().finish(pending::<Result<()>>()));
        let failed = barrier.enter().finish(async { panic!("{}", "on purpose") as Result<()> }).await;
        assert!(matches!(failed, Err(Error::Internal(_))));
        barrier.wait_for_in_flight().await;
    }
}
