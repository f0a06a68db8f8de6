//! The keys of interactions, by hashes.

use std::{collections::HashSet, hash::BuildHasher};

use csv::StringRecord;
use foldhash::fast::FixedState;

/// Most keys that are kept.
const MOST_KEYS: usize = 2_000_000;

/// Which keys of interactions a file has, and which of them more than once.
#[derive(Default)]
pub(in crate::import) struct InteractionKeys {
    hasher: FixedState,
    /// One for each row. Sorting them once is faster than a map that grows beyond the processor's cache.
    rows: Vec<KeyedRow>,
    /// Rows that repeat a key with the same content.
    pub(in crate::import) repeated: u64,
    /// Rows that repeat a key with another content than the row before.
    pub(in crate::import) changed: u64,
    /// The first such row.
    pub(in crate::import) first_changed: Option<u64>,
    /// The numbers of the rows of each key that has several contents.
    conflicts: Vec<Vec<u32>>,
    /// Whether there are more keys than are kept.
    pub(in crate::import) full: bool,
}

/// A row of a table.
struct KeyedRow {
    /// Hashes.
    key: u64,
    content: u64,
    /// Which row of the table it is. Several may be of one line of the file.
    number: u32,
    line: u32,
}

impl InteractionKeys {
    /// Adds the key of a row; [`compare`](Self::compare) then finds those that repeat.
    pub(in crate::import) fn add(
        &mut self,
        key: (&str, &str),
        record: &StringRecord,
        (number, line): (u64, u64),
    ) {
        let content = self.hasher.hash_one(record.as_slice());
        if self.rows.len() < MOST_KEYS {
            let [number, line] = [number, line].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
            self.rows.push(KeyedRow { key: self.hasher.hash_one(key), content, number, line });
        } else {
            self.full = true;
        }
    }

    /// Compares all rows.
    pub(in crate::import) fn compare(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|row| (row.key, row.number));
        for same in rows.chunk_by(|a, b| a.key == b.key).filter(|same| same.len() > 1) {
            let changed = same.windows(2).filter(|pair| pair[0].content != pair[1].content);
            let mut changed = changed.map(|pair| u64::from(pair[1].line));
            let Some(first) = changed.next() else {
                self.repeated += same.len() as u64 - 1;
                continue;
            };
            self.changed += 1 + changed.count() as u64;
            self.first_changed = Some(self.first_changed.map_or(first, |before| before.min(first)));
            self.conflicts.push(same.iter().map(|row| row.number).collect());
        }
    }

    /// The numbers of rows that do not count, when of those with the same key and other content the last one counts, or
    /// the first.
    pub(in crate::import) fn replaced(&self, last_counts: bool) -> HashSet<u32> {
        let others = |rows: &Vec<u32>| {
            let counts = if last_counts { rows.last() } else { rows.first() }.copied();
            rows.iter().copied().filter(move |row| Some(*row) != counts).collect::<Vec<_>>()
        };
        self.conflicts.iter().flat_map(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_keys_are_counted_by_content() {
        let mut keys = InteractionKeys::default();
        for (line, (key, content)) in
            [(("a", "1"), "x"), (("a", "1"), "x"), (("b", "1"), "x"), (("a", "1"), "y"), (("a1", ""), "x")]
                .into_iter()
                .enumerate()
        {
            let number = line as u64;
            keys.add(key, &StringRecord::from(vec![content]), (number, number));
        }
        keys.compare();
        assert_eq!((keys.repeated, keys.changed, keys.first_changed), (0, 1, Some(3)));
        assert_eq!(keys.replaced(true), HashSet::from([0, 1]));
        assert_eq!(keys.replaced(false), HashSet::from([1, 3]));
    }
}
