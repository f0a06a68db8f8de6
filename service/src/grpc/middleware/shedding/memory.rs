//! The memory that calls in flight hold, counted in bytes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::Semaphore;

/// Memory is counted in units of this size: a semaphore gives at most 2³² permits at a time.
const UNIT: usize = 1 << 10;

/// What all calls of a server may hold together.
#[derive(Clone)]
pub(super) struct MemoryBudget(Arc<Budget>);

struct Budget {
    free: Semaphore,
    units: usize,
    in_flight: Gauge,
}

impl MemoryBudget {
    pub(super) fn new(bytes: usize, in_flight: Gauge) -> Self {
        let units = bytes / UNIT;
        Self(Arc::new(Budget { free: Semaphore::new(units), units, in_flight }))
    }

    /// Takes memory for a call, None when there is too little. A call that needs more than the whole budget takes all of
    /// it, so that it runs, but alone.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let reservation = self.nothing();
        reservation.grow(bytes).then_some(reservation)
    }

    /// Takes memory for a call as soon as there is enough.
    pub(super) async fn reserve(&self, bytes: usize) -> Reservation {
        let units = self.0.units_of(bytes);
        // An error would mean that the semaphore is closed, which it never is.
        if let Ok(permits) = self.0.free.acquire_many(units as u32).await {
            permits.forget();
        }
        self.0.in_flight.inc_by((units * UNIT) as i64);
        Reservation { budget: Arc::clone(&self.0), units: AtomicUsize::new(units) }
    }

    fn nothing(&self) -> Reservation {
        Reservation { budget: Arc::clone(&self.0), units: AtomicUsize::new(0) }
    }
}

impl Budget {
    fn units_of(&self, bytes: usize) -> usize {
        bytes.div_ceil(UNIT).min(self.units)
    }
}

/// Memory of one call, free again when it is dropped.
pub(in crate::grpc) struct Reservation {
    budget: Arc<Budget>,
    units: AtomicUsize,
}

impl Reservation {
    /// Takes so much more that the call has `bytes`. Returns whether there is as much. Only one task of a call grows it
    /// at a time.
    pub(in crate::grpc) fn grow(&self, bytes: usize) -> bool {
        let wanted = self.budget.units_of(bytes);
        let more = wanted.saturating_sub(self.units.load(Relaxed));
        let Ok(permits) = self.budget.free.try_acquire_many(more as u32) else { return false };
        permits.forget();
        self.units.fetch_add(more, Relaxed);
        self.budget.in_flight.inc_by((more * UNIT) as i64);
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let units = *self.units.get_mut();
        self.budget.free.add_permits(units);
        self.budget.in_flight.dec_by((units * UNIT) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_is_held_than_there_is_and_all_of_it_comes_back() {
        let gauge = Gauge::default();
        let budget = MemoryBudget::new(10 * UNIT, gauge.clone());
        let first = budget.try_reserve(4 * UNIT).unwrap();
        assert!(budget.try_reserve(6 * UNIT + 1).is_none());
        let second = budget.try_reserve(6 * UNIT).unwrap();
        assert_eq!(gauge.get(), 10 * UNIT as i64);
        assert!(!first.grow(4 * UNIT + 1));
        assert!(first.grow(UNIT), "what is there already");
        drop(second);
        let all = budget.reserve(usize::MAX >> 1);
        drop(first);
        let all = all.await;
        assert!(budget.try_reserve(1).is_none());
        drop(all);
        assert_eq!(gauge.get(), 0);
        assert!(budget.try_reserve(10 * UNIT).is_some());
    }
}
