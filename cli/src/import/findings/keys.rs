//! The keys of interactions, by hashes.

use std::hash::BuildHasher;

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
    /// Whether there are more keys than are kept.
    pub(in crate::import) full: bool,
}

/// The hashes of a row's key and of its content, and its line.
type KeyedRow = (u64, u64, u64);

impl InteractionKeys {
    /// Adds the key of a row; [`compare`](Self::compare) then finds those that repeat.
    pub(in crate::import) fn add(&mut self, key: (&str, &str), record: &StringRecord, line: u64) {
        let content = self.hasher.hash_one(record.as_slice());
        if self.rows.len() < MOST_KEYS {
            self.rows.push((self.hasher.hash_one(key), content, line));
        } else {
            self.full = true;
        }
    }

    /// Compares all rows.
    pub(in crate::import) fn compare(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|(key, _, line)| (*key, *line));
        for rows in rows.windows(2) {
            let [(key, content, _), (next_key, next_content, line)] = rows else { continue };
            if key != next_key {
                continue;
            }
            if content == next_content {
                self.repeated += 1;
            } else {
                self.changed += 1;
                self.first_changed = Some(self.first_changed.map_or(*line, |first| first.min(*line)));
            }
        }
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
            keys.add(key, &StringRecord::from(vec![content]), line as u64);
        }
        keys.compare();
        assert_eq!((keys.repeated, keys.changed, keys.first_changed), (1, 1, Some(3)));
    }
}
