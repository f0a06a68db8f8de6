//! The counts of one attribute and of one property.

use std::collections::HashMap;

use super::DISTINCT;
use crate::history::AttributeValue;

/// The values of one attribute by type, and how often each occurs.
#[derive(Default)]
pub(super) struct AttributeCounts {
    pub(super) numbers: u64,
    pub(super) booleans: u64,
    pub(super) texts: u64,
    pub(super) levels: HashMap<String, u64>,
}

impl AttributeCounts {
    /// Counts a value; `level` is its name as a level.
    pub(super) fn add(&mut self, value: &AttributeValue, level: &str) {
        match value {
            AttributeValue::Number(_) => self.numbers += 1,
            AttributeValue::Boolean(_) => self.booleans += 1,
            AttributeValue::Text(_) => self.texts += 1,
        }
        count_up(&mut self.levels, level, 1);
    }

    pub(super) fn merge(&mut self, others: Self) {
        self.numbers += others.numbers;
        self.booleans += others.booleans;
        self.texts += others.texts;
        merge_counts(&mut self.levels, others.levels);
    }

    pub(super) const fn count(&self) -> u64 {
        self.numbers + self.booleans + self.texts
    }
}

/// The values of one property of one kind.
#[derive(Clone, Copy)]
pub(super) struct PropertyCounts {
    pub(super) numbers: u64,
    pub(super) texts: u64,
    /// The least and the greatest number.
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Default for PropertyCounts {
    fn default() -> Self {
        Self { numbers: 0, texts: 0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl PropertyCounts {
    /// Counts a value; None for a text.
    pub(super) fn add(&mut self, number: Option<f64>) {
        match number {
            Some(value) => self.merge(Self { numbers: 1, texts: 0, low: value, high: value }),
            None => self.texts += 1,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.numbers += other.numbers;
        self.texts += other.texts;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// Whether it is a number in at least 95 % of the interactions that have it.
    pub(super) const fn is_number(&self) -> bool {
        100 * self.numbers >= 95 * self.carried()
    }

    /// The number of interactions that have the property.
    pub(super) const fn carried(&self) -> u64 {
        self.numbers + self.texts
    }
}

pub(super) fn count_up(counts: &mut HashMap<String, u64>, name: &str, by: u64) {
    if let Some(count) = counts.get_mut(name) {
        *count += by;
    } else if counts.len() < DISTINCT {
        counts.insert(name.to_owned(), by);
    }
}

/// Adds counts in the order of the names, so that the names beyond the limit are always the same.
pub(super) fn merge_counts(counts: &mut HashMap<String, u64>, others: HashMap<String, u64>) {
    let mut others: Vec<_> = others.into_iter().collect();
    others.sort_unstable();
    others.iter().for_each(|(name, count)| count_up(counts, name, *count));
}

/// The names with the greatest counts, equal counts by name.
pub(super) fn most_frequent(counts: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut ranked: Vec<_> = counts.iter().collect();
    ranked.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    ranked.into_iter().take(most).map(|(name, _)| name.clone()).collect()
}
