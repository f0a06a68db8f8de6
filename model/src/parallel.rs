//! Work on all cores whose result does not depend on their number.
//!
//! rayon does the work. Its own reductions group the items differently from run to run, so results come back
//! in order and the caller adds them up.

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

/// About how many rows are worth a task of their own.
const BLOCK_ROWS: usize = 16_384;
/// The most blocks of rows.
const BLOCKS: usize = 64;

/// Calls `f` on each item; the results are in the order of the items.
pub fn par_map<I: Send, T: Send>(items: impl IntoIterator<Item = I>, f: impl Fn(I) -> T + Sync) -> Vec<T> {
    let items: Vec<I> = items.into_iter().collect();
    if items.len() <= 1 {
        return items.into_iter().map(f).collect();
    }
    // Items are large: each may go to another thread.
    items.into_par_iter().with_max_len(1).map(&f).collect()
}

/// Calls `f` on each of several blocks of rows; the results are in the order of the blocks. The blocks depend on
/// the number of rows alone, so that sums of floating point numbers are the same on any number of cores.
pub fn par_map_rows<T: Send>(rows: usize, f: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let length = rows.div_ceil(BLOCKS).max(BLOCK_ROWS);
    par_map((0..rows.div_ceil(length)).map(|n| n * length..rows.min((n + 1) * length)), f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_and_blocks_cover_all_rows() {
        assert_eq!(par_map(0..1_000, |n| 2 * n), (0..1_000).map(|n| 2 * n).collect::<Vec<_>>());
        assert!(par_map(Vec::<u8>::new(), |n| n).is_empty());
        for rows in [0, 1, BLOCK_ROWS, BLOCK_ROWS + 1, 100 * BLOCK_ROWS + 7] {
            let blocks = par_map_rows(rows, |block| block);
            assert!(blocks.len() <= BLOCKS);
            let all: Vec<usize> = blocks.into_iter().flatten().collect();
            assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }
}
