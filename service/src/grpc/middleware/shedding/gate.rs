//! The limit of one class of work: so many units run, so many calls wait for their turn, and the others are refused.
//!
//! A burst may wait in a long queue. Under an overload that lasts, a long queue helps nobody: as many calls are answered
//! as with a short one, all of them later. So the queue is short from the first refusal until there was none for a while.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::class::ClassLimits;

/// How long after a refusal the queue is short.
const OVERLOADED_FOR: Duration = Duration::from_secs(1);

/// Lets calls of a class run in the order in which they come.
pub(super) struct Gate {
    running: Arc<Semaphore>,
    waiting: AtomicUsize,
    limits: ClassLimits,
    begin: Instant,
    /// Until when the queue is short, in milliseconds after `begin`; 0 before the first refusal.
    overloaded_until: AtomicU64,
}

/// The right to run, as long as it is held.
pub(super) type Turn = OwnedSemaphorePermit;

impl Gate {
    pub(super) fn new(limits: ClassLimits) -> Self {
        let running = Arc::new(Semaphore::new(limits.running as usize));
        let (begin, overloaded_until) = (Instant::now(), AtomicU64::new(0));
        Self { running, waiting: AtomicUsize::new(0), limits, begin, overloaded_until }
    }

    pub(super) const fn limits(&self) -> &ClassLimits {
        &self.limits
    }

    /// Whether a call has to be refused that comes now.
    pub(super) fn refuses(&self) -> bool {
        // No permit is left over while a call waits: the first in the queue has them.
        let is_full = self.running.available_permits() == 0 && self.waiting.load(Relaxed) >= self.queue();
        if is_full {
            self.note_refusal();
        }
        is_full
    }

    /// How many calls may wait now.
    fn queue(&self) -> usize {
        let overloaded_until = self.overloaded_until.load(Relaxed);
        if overloaded_until > 0 && self.begin.elapsed() < Duration::from_millis(overloaded_until) {
            self.limits.waiting_in_overload
        } else {
            self.limits.waiting
        }
    }

    fn note_refusal(&self) {
        let until = self.begin.elapsed() + OVERLOADED_FOR;
        self.overloaded_until.store(until.as_millis() as u64, Relaxed);
    }

    /// Waits for the turn of a call whose message has this length, None when too many wait already.
    pub(super) async fn enter(&self, message_bytes: usize) -> Option<Turn> {
        let units = self.units(message_bytes);
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_many_owned(units) {
            return Some(turn);
        }
        let Some(_place) = Place::take(&self.waiting, self.queue()) else {
            self.note_refusal();
            return None;
        };
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
        Gate::new(ClassLimits { running, waiting, waiting_in_overload: waiting, unit_bytes, call_bytes: 0 })
    }

    #[tokio::test]
    async fn so_many_run_so_many_wait_and_the_next_is_refused() {
        let gate = gate(2, 1, None);
        let first = gate.enter(1 << 20).await.unwrap();
        let _second = gate.enter(0).await.unwrap();
        assert!(!gate.refuses());
        let mut third = Box::pin(gate.enter(0));
        assert!(third.as_mut().now_or_never().is_none());
        assert!(gate.refuses());
        assert!(gate.enter(0).await.is_none());
        drop(first);
        let third = third.await.unwrap();
        assert!(!gate.refuses(), "one may wait");
        // One that has gone leaves its place.
        assert!(gate.enter(0).now_or_never().is_none());
        assert!(!gate.refuses());
        drop(third);
        assert!(gate.enter(0).await.is_some());
    }

    #[tokio::test]
    async fn large_messages_take_more_and_the_largest_everything() {
        let gate = gate(4, 0, Some(100));
        let turns = [gate.enter(99).await.unwrap(), gate.enter(299).await.unwrap()];
        assert_eq!(turns.each_ref().map(Turn::num_permits), [1, 3]);
        assert!(gate.refuses() && gate.enter(0).await.is_none());
        drop(turns);
        let largest = gate.enter(usize::MAX).await.unwrap();
        assert!(gate.refuses());
        drop(largest);
    }

    #[tokio::test]
    async fn the_queue_is_short_once_a_call_was_refused() {
        let limits =
            ClassLimits { running: 1, waiting: 3, waiting_in_overload: 1, unit_bytes: None, call_bytes: 0 };
        let gate = Gate::new(limits);
        let running = gate.enter(0).await.unwrap();
        let mut queue: Vec<_> = (0..3).map(|_| Box::pin(gate.enter(0))).collect();
        assert!(queue.iter_mut().all(|call| call.as_mut().now_or_never().is_none()), "a burst waits");
        assert!(gate.refuses());
        drop(queue);
        let mut only = Box::pin(gate.enter(0));
        assert!(only.as_mut().now_or_never().is_none());
        assert!(gate.refuses(), "one waits, and more may not");
        assert!(gate.enter(0).await.is_none());
        drop(running);
        assert!(only.await.is_some());
    }
}
