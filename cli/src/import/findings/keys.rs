//! The keys of interactions, by hashes.

use std::hash::BuildHasher;

use csv::StringRecord;
use foldhash::{HashMap, fast::FixedState};

/// Most keys that are kept.
const MOST_KEYS: usize = 2_000_000;

/// Which keys of interactions a file has, and which of them more than once.
#[derive(Default)]
pub(in crate::import) struct InteractionKeys {
    hasher: FixedState,
    /// The content of each key.
    contents: HashMap<u64, u64>,
    /// Rows that repeat a key with the same content.
    pub(in crate::import) repeated: u64,
    /// Rows that repeat a key with another content than the row before.
    pub(in crate::import) changed: u64,
    /// The first such row.
    pub(in crate::import) first_changed: Option<u64>,
    /// Whether there are more keys than are kept.
    pub(in crate::import) full: bool,
}

impl InteractionKeys {
    /// Adds the key of a row.
    pub(in crate::import) fn add(&mut self, key: (&str, &str), record: &StringRecord, line: u64) {
        let content = self.hasher.hash_one(record.as_slice());
        let hash = self.hasher.hash_one(key);
        if let Some(stored) = self.contents.get_mut(&hash) {
            if *stored == content {
                self.repeated += 1;
            } else {
                *stored = content;
                self.changed += 1;
                self.first_changed.get_or_insert(line);
            }
        } else if self.contents.len() < MOST_KEYS {
            self.contents.insert(hash, content);
        } else {
            self.full = true;
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
        assert_eq!((keys.repeated, keys.changed, keys.first_changed), (1, 1, Some(3)));
    }
}
