//! Work on all cores whose result does not depend on how many there are.

use std::{
    num::NonZeroUsize,
    ops::Range,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

/// Rows that are worth a thread, about.
const STRETCH: usize = 16_384;
/// Stretches of rows, at most.
const STRETCHES: usize = 64;

/// Does the same with each item; the results are in the order of the items.
pub fn each<I: Send, T: Send>(items: impl IntoIterator<Item = I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    let items: Vec<_> = items.into_iter().map(|item| std::sync::Mutex::new(Some(item))).collect();
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(items.len());
    let next = AtomicUsize::new(0);
    let take = || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        // Each item is taken once, so that its lock is free and whole.
        let item = items.get(n)?.lock().ok()?.take()?;
        Some((n, work(item)))
    };
    if cores <= 1 {
        return std::iter::from_fn(take).map(|(_, done)| done).collect();
    }
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..cores).map(|_| scope.spawn(|| std::iter::from_fn(take).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    });
    done.sort_unstable_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, done)| done).collect()
}

/// Does the same with each of several stretches of rows. Where they begin and end depends on the number
/// of rows alone: sums of floating point numbers come out the same on any number of cores.
pub fn over_rows<T: Send>(rows: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let length = rows.div_ceil(STRETCHES).max(STRETCH);
    each((0..rows.div_ceil(length)).map(|n| n * length..rows.min((n + 1) * length)), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_stretches_cover_all_rows() {
        assert_eq!(each(0..1_000, |n| 2 * n), (0..1_000).map(|n| 2 * n).collect::<Vec<_>>());
        assert!(each(Vec::<u8>::new(), |n| n).is_empty());
        for rows in [0, 1, STRETCH, STRETCH + 1, 100 * STRETCH + 7] {
            let stretches = over_rows(rows, |stretch| stretch);
            assert!(stretches.len() <= STRETCHES);
            let all: Vec<usize> = stretches.into_iter().flatten().collect();
            assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }
}
