//! The data profile: which kinds, properties and attributes the data have, so that `auto` in a spec becomes a
//! [`Plan`](super::Plan).

mod categories;
mod counts;
mod leads;
mod resolve;
mod unknown;

use std::collections::{BTreeMap, HashMap};

use self::categories::TextCounts;
use self::counts::{AttributeCounts, PropertyCounts, count_up, merge_counts};
pub use self::leads::LeadAges;
pub use self::unknown::UnknownName;
use super::level_name;
use crate::{
    history::{AttributeValue, CHANNEL, History, activity::Activity},
    time::{DAY, Time},
};

/// The most distinct values of an attribute, distinct kinds and distinct properties that are counted, which bounds
/// the memory of a profile. Further ones (in free text, say) are ignored; known ones are still counted.
const DISTINCT: usize = 10_000;

/// Counts over many histories, taken in one pass.
#[derive(Default)]
pub struct DataProfile {
    kinds: HashMap<String, u64>,
    /// By kind and name.
    properties: BTreeMap<(String, String), PropertyCounts>,
    texts: TextCounts,
    attributes: BTreeMap<String, AttributeCounts>,
    recording: RecordingLag,
    lead_ages: LeadAges,
    activity: Activity,
    customers: u64,
}

/// How many interactions were recorded long after they happened, so that models may not use them for the past.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingLag {
    /// The number of interactions that have happened.
    pub interactions: u64,
    /// How many of them were recorded more than a day later.
    pub late: u64,
}

impl RecordingLag {
    /// Whether most interactions were recorded late.
    #[must_use]
    pub const fn is_mostly_late(self) -> bool {
        self.late * 2 > self.interactions
    }
}

impl DataProfile {
    /// How many interactions were recorded late; also those that were not known yet.
    #[must_use]
    pub const fn recording_lag(&self) -> RecordingLag {
        self.recording
    }

    /// The number of customers, also those of whom nothing was known.
    #[must_use]
    pub const fn customers(&self) -> u64 {
        self.customers
    }

    /// The number of interactions of each kind that were known.
    #[must_use]
    pub const fn kinds(&self) -> &HashMap<String, u64> {
        &self.kinds
    }

    /// The number of interactions of each day that were known.
    #[must_use]
    pub const fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Counts what was known of a customer at `as_of`.
    pub fn add(&mut self, history: &History, as_of: Time) {
        self.customers += 1;
        let mut counts = vec![0_u64; history.kinds().len()];
        for event in history.visible(as_of, as_of) {
            counts[event.kind as usize] += 1;
        }
        self.activity.add(history, as_of, as_of);
        for (kind, count) in history.kinds().iter().zip(counts).filter(|(_, count)| *count > 0) {
            count_up(&mut self.kinds, kind, count);
        }
        for event in history.events().take_while(|event| event.occur_time <= as_of) {
            self.recording.interactions += 1;
            self.recording.late += u64::from(event.record_time.0 - event.occur_time.0 > DAY);
        }
        self.lead_ages.add(history, as_of);
        self.add_properties(history, as_of);
        self.texts.add(history, as_of);
        let Some(version) = history.version_at(as_of, as_of) else { return };
        for (name, value) in &version.attributes {
            self.add_attribute(name, value);
        }
    }

    /// Adds the counts of other customers.
    pub fn merge(&mut self, others: Self) {
        self.customers += others.customers;
        merge_counts(&mut self.kinds, others.kinds);
        self.recording.interactions += others.recording.interactions;
        self.recording.late += others.recording.late;
        self.lead_ages.merge(others.lead_ages);
        self.activity.merge(&others.activity);
        self.texts.merge(others.texts);
        for (key, counts) in others.properties {
            self.add_property(key, counts);
        }
        for (name, others) in others.attributes {
            if self.attributes.len() < DISTINCT || self.attributes.contains_key(&name) {
                self.attributes.entry(name).or_default().merge(others);
            }
        }
    }

    fn add_attribute(&mut self, name: &str, value: &AttributeValue) {
        if self.attributes.len() >= DISTINCT && !self.attributes.contains_key(name) {
            return;
        }
        self.attributes.entry(name.to_owned()).or_default().add(value, &level_name(value));
    }

    fn add_properties(&mut self, history: &History, as_of: Time) {
        // Per kind and property of the history.
        let names = history.properties();
        let mut own = vec![PropertyCounts::default(); history.kinds().len() * names.len()];
        let mut count = |event: u32, property: u32, number: Option<f64>| {
            if let Some(kind) = history.kind_if_visible(event, as_of, as_of) {
                own[kind as usize * names.len() + property as usize].add(number);
            }
        };
        history.numbers().iter().for_each(|number| count(number.event, number.property, Some(number.value)));
        history.texts().iter().for_each(|text| count(text.event, text.property, None));
        let of_kinds = history.kinds().iter().zip(own.chunks(names.len().max(1)));
        let all = of_kinds.flat_map(|(kind, counts)| names.iter().zip(counts).map(move |own| (kind, own)));
        let is_property = |name: &str, counts: &PropertyCounts| name != CHANNEL && counts.carried() > 0;
        for (kind, (property, counts)) in all.filter(|(_, (name, counts))| is_property(name, counts)) {
            self.add_property((kind.clone(), property.clone()), *counts);
        }
    }

    fn add_property(&mut self, key: (String, String), counts: PropertyCounts) {
        if self.properties.len() < DISTINCT || self.properties.contains_key(&key) {
            self.properties.entry(key).or_default().merge(counts);
        }
    }
}

#[cfg(test)]
mod tests;
