//! The counts of channels and of the texts of properties, and which of them become categories.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use super::{
    DISTINCT, DataProfile,
    counts::{count_up, merge_counts, most_frequent},
};
use crate::{
    features::Category,
    history::{CHANNEL, History},
    time::Time,
};

/// The most channels with a level of their own.
const CHANNELS: usize = 6;
/// The most values of a categorical property with a level of their own.
const LEVELS: usize = 20;
/// A channel or a value of fewer interactions has no level of its own.
const RARE: u64 = 10;
/// The most categorical properties of one kind, and of all kinds.
const OF_A_KIND: usize = 2;
const CATEGORIES: usize = 6;

/// How often each channel and each text of a property occurs.
#[derive(Default)]
pub(super) struct TextCounts {
    channels: HashMap<String, u64>,
    /// By kind and property.
    properties: BTreeMap<(String, String), HashMap<String, u64>>,
}

impl TextCounts {
    /// Counts the texts of a customer that were known at `as_of`.
    pub(super) fn add(&mut self, history: &History, as_of: Time) {
        let mut own: BTreeMap<(u32, u32, u32), u64> = BTreeMap::new();
        for text in history.texts_until(as_of) {
            let kind = history.kind_if_visible(text.event, as_of, as_of);
            if let Some((kind, value)) = kind.zip(text.value) {
                *own.entry((text.property, kind, value)).or_default() += 1;
            }
        }
        for ((property, kind, value), count) in own {
            let name = |names: &[String], slot: u32| names[slot as usize].clone();
            let (property, kind) = (name(history.properties(), property), name(history.kinds(), kind));
            let counts =
                if property == CHANNEL { Some(&mut self.channels) } else { self.of((kind, property)) };
            let value = &history.values()[value as usize];
            counts.into_iter().for_each(|counts| count_up(counts, value, count));
        }
    }

    pub(super) fn merge(&mut self, others: Self) {
        merge_counts(&mut self.channels, others.channels);
        for (key, others) in others.properties {
            if let Some(counts) = self.of(key) {
                merge_counts(counts, others);
            }
        }
    }

    /// The counts of a property; None when there are too many properties.
    fn of(&mut self, key: (String, String)) -> Option<&mut HashMap<String, u64>> {
        let has_room = self.properties.len() < DISTINCT || self.properties.contains_key(&key);
        has_room.then(|| self.properties.entry(key).or_default())
    }

    /// The levels of a property.
    fn levels(&self, key: &(String, String)) -> Vec<String> {
        self.properties.get(key).map_or_else(Vec::new, |counts| frequent(counts, LEVELS))
    }

    /// Whether a property is a category: at least two of its levels occur, and half of its texts are of a level. Notes
    /// and numbers of orders are not.
    fn is_category(&self, key: &(String, String)) -> bool {
        let (levels, Some(counts)) = (self.levels(key), self.properties.get(key)) else { return false };
        let common: u64 = levels.iter().filter_map(|level| counts.get(level)).sum();
        levels.len() > 1 && 2 * common >= counts.values().sum()
    }
}

impl DataProfile {
    /// The common channels; none unless there are at least two.
    pub(super) fn channels(&self) -> Vec<String> {
        let channels = frequent(&self.texts.channels, CHANNELS);
        if channels.len() > 1 { channels } else { Vec::new() }
    }

    /// The listed properties that are mostly texts.
    pub(super) fn listed_categories(&self, listed: &[(String, String)]) -> Vec<Category> {
        let is_text = |key: &&(String, String)| {
            self.properties.get(key).is_some_and(|counts| counts.texts > counts.numbers)
        };
        listed.iter().filter(is_text).map(|key| self.category(key)).collect()
    }

    /// The most frequent categorical properties of these kinds: those that are texts in at least 95 % of the
    /// interactions that have them, which are at least half of their kind. An attribute of that name, such as the
    /// country, says the same already.
    pub(super) fn informative_categories(&self, kinds: &[String], attributes: &[String]) -> Vec<Category> {
        let is_text = |counts: &super::PropertyCounts| 100 * counts.texts >= 95 * counts.carried();
        let mut found: Vec<_> = self
            .properties
            .iter()
            .filter(|(key, counts)| {
                is_text(counts) && self.is_carried_by_half(key, counts) && self.texts.is_category(key)
            })
            .collect();
        found.sort_by_key(|(key, counts)| (Reverse(counts.carried()), *key));
        let mut chosen: Vec<Category> = Vec::new();
        for (key, _) in found {
            let of_kind = chosen.iter().filter(|category| category.kind == key.0).count();
            let is_wanted = kinds.contains(&key.0) && !attributes.contains(&key.1);
            if is_wanted && of_kind < OF_A_KIND && chosen.len() < CATEGORIES {
                chosen.push(self.category(key));
            }
        }
        chosen
    }

    fn category(&self, key: &(String, String)) -> Category {
        Category { kind: key.0.clone(), property: key.1.clone(), levels: self.texts.levels(key) }
    }
}

/// The most frequent names, without the rare ones.
fn frequent(counts: &HashMap<String, u64>, most: usize) -> Vec<String> {
    let mut counts = counts.clone();
    counts.retain(|_, count| *count >= RARE);
    most_frequent(&counts, most)
}
