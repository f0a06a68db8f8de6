//! The limit of one class of work: so many units run, so many calls wait for their turn, and the others are refused.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::class::ClassLimits;

/// Lets calls of a class run in the order in which they come.
pub(super) struct Gate {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: ClassLimits,
}

/// The right to run, as long as it is held.
pub(super) type Turn = OwnedSemaphorePermit;

impl Gate {
    pub(super) fn new(limits: ClassLimits) -> Self {
        let running = Arc::new(Semaphore::new(limits.running as usize));
        Self { running, waiting: AtomicUsize::new(0), limits }
    }

    pub(super) const fn limits(&self) -> &ClassLimits {
        &self.limits
    }

    /// Whether a call would be refused that came now.
    pub(super) fn is_full(&self) -> bool {
        self.running.available_permits() == 0 && self.waiting.load(Relaxed) >= self.limits.waiting
    }

    /// Waits for the turn of a call whose message has this length, None when too many wait already.
    pub(super) async fn enter(&self, message_bytes: usize) -> Option<Turn> {
        let units = self.units(message_bytes);
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_many_owned(units) {
            return Some(turn);
        }
        let _place = Place::take(&self.waiting, self.limits.waiting)?;
        self.enter_patiently(message_bytes).await
    }

    /// Waits for the turn of a message, however many wait already; the caller is slowed down by that.
    pub(super) async fn enter_patiently(&self, message_bytes: usize) -> Option<Turn> {
        // An error would mean that the semaphore is closed, which it never is.
        Arc::clone(&self.running).acquire_many_owned(self.units(message_bytes)).await.ok()
    }

    fn units(&self, message_bytes: usize) -> u32 {
        let more = self.limits.unit_bytes.map_or(0, |unit| message_bytes / unit);
        u32::try_from(more).map_or(self.limits.running, |more| (more + 1).min(self.limits.running))
    }
}

/// A place in a queue.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize, most: usize) -> Option<Self> {
        let place = taken.fetch_update(Relaxed, Relaxed, |taken| (taken < most).then_some(taken + 1));
        place.ok().map(|_| Self(taken))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn gate(running: u32, waiting: usize, unit_bytes: Option<usize>) -> Gate {
        Gate::new(ClassLimits { running, waiting, unit_bytes, call_bytes: 0 })
    }

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_next_is_refused() {
        let gate = gate(2, 1, None);
        let first = gate.enter(1 << 20).await.unwrap();
        let _second = gate.enter(0).await.unwrap();
        assert!(!gate.is_full());
        let mut third = Box::pin(gate.enter(0));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(gate.is_full());
        assert!(gate.enter(0).await.is_none());
        drop(first);
        let third = third.await.unwrap();
        assert!(!gate.is_full(), "one may wait");
        // One that has gone leaves its place.
        assert!(gate.enter(0).now_or_never().is_none());
        assert!(!gate.is_full());
        drop(third);
        assert!(gate.enter(0).await.is_some());
    }

    #[tokio::test]
    async fn large_messages_take_more_and_the_largest_everything() {
        let gate = gate(4, 0, Some(100));
        let turns = [gate.enter(99).await.unwrap(), gate.enter(299).await.unwrap()];
        assert_eq!(turns.each_ref().map(Turn::num_permits), [1, 3]);
        assert!(gate.is_full() && gate.enter(0).await.is_none());
        drop(turns);
        let largest = gate.enter(usize::MAX).await.unwrap();
        assert!(gate.is_full());
        drop(largest);
    }
}
