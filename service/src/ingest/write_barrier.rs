//! The writes under way, so that a score that is kept misses none that it must count.
//!
//! A write takes its record time before its transaction commits. A score whose `known_at` falls in
//! between would not see the rows, and its replay would: by then they are there, and their record
//! time is not later than `known_at`. So a write enters before it takes its time, and whoever scores
//! to keep first takes `known_at` and then waits until all that entered before have left. Every later
//! write has a later time ([`App::now`](crate::app::App::now) never says the same twice), so it need
//! not wait, nor be waited for.
//!
//! This holds within one process. A write that another server on the same database has under way
//! cannot be seen from here; should it matter, the replay says so.

use std::collections::BTreeSet;

use tokio::sync::watch;

use crate::platform::error::{Error, Result};

/// The writes under way.
#[derive(Clone, Default)]
pub struct WriteBarrier(watch::Sender<Running>);

/// Writes are numbered in the order in which they entered.
#[derive(Default)]
struct Running {
    last: u64,
    numbers: BTreeSet<u64>,
}

/// A write under way, until dropped.
pub struct Writer {
    writers: WriteBarrier,
    number: u64,
}

impl WriteBarrier {
    /// Enters a write; it takes its record time after that.
    #[must_use]
    pub fn enter(&self) -> Writer {
        let mut number = 0;
        self.0.send_if_modified(|running| {
            running.last += 1;
            number = running.last;
            running.numbers.insert(number);
            // Nobody waits for one to enter.
            false
        });
        Writer { writers: self.clone(), number }
    }

    /// Waits until the writes that have entered so far have left; at once when there are none.
    pub async fn wait_for_in_flight(&self) {
        let mut running = self.0.subscribe();
        let last = running.borrow().last;
        let over = |running: &Running| running.numbers.first().is_none_or(|first| *first > last);
        // The sender lives in `self`.
        let _ = running.wait_for(over).await;
    }
}

impl Writer {
    /// Runs the write to its end, whatever becomes of the caller, and leaves then.
    ///
    /// # Errors
    /// Those of the write; INTERNAL when it panics.
    pub async fn finish<T: Send + 'static>(
        self,
        write: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let whole = async move {
            let done = write.await;
            drop(self);
            done
        };
        tokio::spawn(whole).await.map_err(|error| Error::Internal(format!("a write panicked: {error}")))?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.writers.0.send_modify(|running| {
            running.numbers.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::pending};

    use super::*;

    #[tokio::test]
    async fn those_that_entered_before_are_waited_for_and_no_others() {
        let writers = WriteBarrier::default();
        assert!(writers.wait_for_in_flight().now_or_never().is_some(), "nobody writes");
        let (first, second) = (writers.enter(), writers.enter());
        let mut wait_for_in_flight = Box::pin(writers.wait_for_in_flight());
        assert!(wait_for_in_flight.as_mut().now_or_never().is_none());
        let third = writers.enter();
        let mut later = Box::pin(writers.wait_for_in_flight());
        assert!(later.as_mut().now_or_never().is_none());
        drop(second);
        assert!(wait_for_in_flight.as_mut().now_or_never().is_none(), "the first is still there");
        drop(first);
        assert!(wait_for_in_flight.as_mut().now_or_never().is_some(), "the third came later");
        assert!(later.as_mut().now_or_never().is_none());
        drop(third);
        assert!(later.as_mut().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_write_goes_on_when_its_caller_does_not() {
        let writers = WriteBarrier::default();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let mut call = Box::pin(writers.enter().finish(async move { Ok(ended.await) }));
        assert!(call.as_mut().now_or_never().is_none());
        drop(call);
        let mut wait_for_in_flight = Box::pin(writers.wait_for_in_flight());
        assert!(wait_for_in_flight.as_mut().now_or_never().is_none());
        end.send(()).unwrap();
        wait_for_in_flight.await;
        // Giving up before the write has begun, or a panic in it, leaves nobody waiting.
        drop(writers.enter().finish(pending::<Result<()>>()));
        let failed = writers.enter().finish(async { panic!("{}", "on purpose") as Result<()> }).await;
        assert!(matches!(failed, Err(Error::Internal(_))));
        writers.wait_for_in_flight().await;
    }
}
