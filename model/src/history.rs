//! A customer's history: what happened, when, and when it became known, in order and compact.
//!
//! A history is all that a database hands over. It knows nothing of features or models; those are
//! pure functions of it (see [`crate::features`]).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// The kinds of interaction that have a meaning of their own. All others are counted and dated alike.
pub mod kind {
    /// Makes a lead a buyer.
    pub const PURCHASE: &str = "purchase";
    /// Goods brought back; its amount is the refunded sum, positive.
    pub const RETURN: &str = "return";
    /// The end of a subscription.
    pub const CANCEL: &str = "cancel";
    /// Something went wrong for the customer …
    pub const COMPLAINT: &str = "complaint";
    /// … and was put right.
    pub const RESOLUTION: &str = "resolution";
    /// An answer to a survey, with the properties [`SCORE`] and [`EXPECTED`].
    pub const SURVEY: &str = "survey";
    /// The property of a survey that holds what the customer gave, a number.
    pub const SCORE: &str = "score";
    /// The property of a survey that holds what was to be expected, a number above 0.
    pub const EXPECTED: &str = "expected";
}

/// The value of a customer attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Yes or no.
    Boolean(bool),
    /// A finite number.
    Number(f64),
    /// Anything else.
    Text(String),
}

/// A customer's attributes by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// One interaction as the fold sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When it happened.
    pub occur_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// Money in minor units, when money was involved.
    pub amount_minor: Option<i64>,
    /// Index into [`History::kinds`].
    pub kind: u32,
}

impl Event {
    /// Whether it had happened at `as_of` and was known at `known_at`.
    #[must_use]
    pub fn is_visible(&self, as_of: Time, known_at: Time) -> bool {
        self.occur_time <= as_of && self.record_time <= known_at
    }
}

/// What a survey said: the `event`-th event of the history.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// Index into [`History::events`].
    pub event: u32,
    /// `score / expected`: above 1 means more than was expected.
    pub satisfaction: f64,
}

/// A property of the `event`-th event that reads as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Index into [`History::events`].
    pub event: u32,
    /// See [`History::property_slot`].
    pub property: u32,
    /// Its value, at most [`Number::GREATEST`] either way.
    pub value: f64,
}

impl Number {
    /// A property beyond this is no number to us, as for amounts of money: so sums stay finite.
    pub const GREATEST: f64 = 1e15;

    /// The value of a decimal such as `12`, `-0.5` or `1e3`; None for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<f64> {
        // Rust reads `inf` and `NaN`, too: neither is within the range. And -0 is 0.
        let value = text.trim().parse::<f64>().ok()? + 0.0;
        (value.abs() <= Self::GREATEST).then_some(value)
    }
}

/// A property of the `event`-th event that does not read as a number. What it says is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    /// Index into [`History::events`].
    pub event: u32,
    /// See [`History::property_slot`].
    pub property: u32,
}

/// The customer record as it stood from `effective_time` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// From when on it counts.
    pub effective_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// When the relation began.
    pub create_time: Time,
    /// The whole set of attributes.
    pub attributes: Attributes,
}

/// Marks an event with an amount.
const PAID: u32 = 1 << 31;

/// All that is stored of one customer. Events are ordered by time of occurrence, equal times by
/// interaction id; versions by their number.
///
/// Many histories are kept in memory, so an event takes 20 bytes, and 8 more when money was involved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    kinds: Vec<Box<str>>,
    /// Per event.
    occur_times: Vec<Time>,
    /// Per event.
    record_times: Vec<Time>,
    /// Per event its kind, and [`PAID`] when it has an amount.
    whats: Vec<u32>,
    /// The amounts of those that have one, in order.
    amounts: Vec<i64>,
    surveys: Vec<Survey>,
    /// The names of properties, each with its slot.
    properties: BTreeMap<Box<str>, u32>,
    numbers: Vec<Number>,
    texts: Vec<Text>,
    versions: Vec<Version>,
}

impl History {
    /// Adds the next interaction. `score` and `expected` are the properties of a survey; a survey
    /// without a readable pair says nothing of satisfaction.
    ///
    /// Events must come in order of `occur_time`; the caller orders equal times by interaction id.
    pub fn push(
        &mut self,
        kind: &str,
        occur_time: Time,
        record_time: Time,
        amount_minor: Option<i64>,
        survey: Option<(f64, f64)>,
    ) {
        debug_assert!(
            self.occur_times.last().is_none_or(|last| *last <= occur_time),
            "events are pushed in order of time"
        );
        let slot = self.kinds.iter().position(|known| **known == *kind).unwrap_or_else(|| {
            self.kinds.push(kind.into());
            self.kinds.len() - 1
        });
        if let Some((score, expected)) = survey
            && kind == kind::SURVEY
            && score.is_finite()
            && expected.is_finite()
            && expected > 0.0
            && (score / expected).is_finite()
        {
            let event = self.len() as u32;
            self.surveys.push(Survey { event, satisfaction: score / expected });
        }
        self.occur_times.push(occur_time);
        self.record_times.push(record_time);
        self.whats.push(slot as u32 | if amount_minor.is_some() { PAID } else { 0 });
        self.amounts.extend(amount_minor);
    }

    /// Adds a property to the interaction that was pushed last; each name at most once.
    pub fn push_property(&mut self, name: &str, text: &str) {
        debug_assert!(!self.is_empty(), "a property belongs to an interaction");
        let event = self.len().saturating_sub(1) as u32;
        let property = self.property_slot(name).unwrap_or_else(|| {
            let slot = self.properties.len() as u32;
            self.properties.insert(name.into(), slot);
            slot
        });
        match Number::parse(text) {
            Some(value) => self.numbers.push(Number { event, property, value }),
            None => self.texts.push(Text { event, property }),
        }
    }

    /// Adds the next version of the customer record.
    pub fn push_version(&mut self, version: Version) {
        self.versions.push(version);
    }

    /// The kinds that occur in this history; [`Event::kind`] points in here.
    #[must_use]
    pub fn kinds(&self) -> &[Box<str>] {
        &self.kinds
    }

    /// How many events there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.occur_times.len()
    }

    /// Whether nothing has happened.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.occur_times.is_empty()
    }

    /// The events in order.
    #[must_use]
    pub fn events(&self) -> Events<'_> {
        Events {
            occur_times: &self.occur_times,
            record_times: &self.record_times,
            whats: &self.whats,
            amounts: &self.amounts,
        }
    }

    /// When the `event`-th event happened.
    #[must_use]
    pub fn occur_time(&self, event: u32) -> Time {
        self.occur_times[event as usize]
    }

    /// The kind of the `event`-th event, if that is visible.
    #[must_use]
    pub fn kind_if_visible(&self, event: u32, as_of: Time, known_at: Time) -> Option<u32> {
        let n = event as usize;
        let visible = self.occur_times[n] <= as_of && self.record_times[n] <= known_at;
        visible.then_some(self.whats[n] & !PAID)
    }

    /// About how many bytes it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What the allocator adds to a piece.
        const PIECE: usize = 16;
        let strings = |names: &mut dyn Iterator<Item = &Box<str>>| -> usize {
            names.map(|name| name.len() + size_of::<Box<str>>() + PIECE).sum()
        };
        let versions = self.versions.iter().map(|version| {
            let attributes = version.attributes.iter().map(|(name, value)| {
                let text = if let AttributeValue::Text(text) = value { text.len() + PIECE } else { 0 };
                name.len() + text + PIECE + size_of::<String>() + size_of::<AttributeValue>()
            });
            // A node of the map holds up to 11 pairs and is on average two thirds full.
            size_of::<Version>() + attributes.sum::<usize>() * 3 / 2
        });
        size_of::<Self>()
            + 8 * PIECE
            + self.occur_times.capacity() * size_of::<Time>()
            + self.record_times.capacity() * size_of::<Time>()
            + self.whats.capacity() * size_of::<u32>()
            + self.amounts.capacity() * size_of::<i64>()
            + self.surveys.capacity() * size_of::<Survey>()
            + self.numbers.capacity() * size_of::<Number>()
            + self.texts.capacity() * size_of::<Text>()
            + strings(&mut self.kinds.iter())
            + strings(&mut self.properties.keys())
            + versions.sum::<usize>()
    }

    /// Gives back the room that was kept for more.
    pub fn shrink(&mut self) {
        self.kinds.shrink_to_fit();
        self.occur_times.shrink_to_fit();
        self.record_times.shrink_to_fit();
        self.whats.shrink_to_fit();
        self.amounts.shrink_to_fit();
        self.surveys.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.texts.shrink_to_fit();
        self.versions.shrink_to_fit();
    }

    /// What the surveys said, in order.
    #[must_use]
    pub fn surveys(&self) -> &[Survey] {
        &self.surveys
    }

    /// The properties that read as numbers, in the order of the events.
    #[must_use]
    pub fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    /// The properties that do not, in the order of the events.
    #[must_use]
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// How many properties occur: their slots are below this.
    #[must_use]
    pub fn properties(&self) -> usize {
        self.properties.len()
    }

    /// The names of the properties that occur, by slot.
    #[must_use]
    pub fn property_names(&self) -> Vec<&str> {
        let mut names = vec![""; self.properties.len()];
        for (name, slot) in &self.properties {
            names[*slot as usize] = name;
        }
        names
    }

    /// The slot of a property of this name, if one occurs; [`Number::property`] and
    /// [`Text::property`] hold it.
    #[must_use]
    pub fn property_slot(&self, name: &str) -> Option<u32> {
        self.properties.get(name).copied()
    }

    /// The versions of the customer record in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The slot of `kind` in [`History::kinds`], if it occurs.
    #[must_use]
    pub fn kind_slot(&self, kind: &str) -> Option<u32> {
        self.kinds.iter().position(|known| **known == *kind).map(|slot| slot as u32)
    }

    /// The events that had happened at `as_of` and were known at `known_at`, in order.
    pub fn visible(&self, as_of: Time, known_at: Time) -> impl DoubleEndedIterator<Item = Event> {
        self.events().filter(move |event| event.is_visible(as_of, known_at))
    }

    /// The customer record as it stood at `as_of`, as far as known at `known_at`.
    #[must_use]
    pub fn version_at(&self, as_of: Time, known_at: Time) -> Option<&Version> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.effective_time <= as_of && version.record_time <= known_at)
    }

    /// When the relation began, as seen at `as_of` and `known_at`: the stated time of creation, or
    /// else the first interaction. None when nothing was known of the customer by then.
    #[must_use]
    pub fn create_time(&self, as_of: Time, known_at: Time) -> Option<Time> {
        match self.version_at(as_of, known_at) {
            Some(version) => Some(version.create_time),
            None => self.visible(as_of, known_at).next().map(|event| event.occur_time),
        }
    }
}

/// Events of a history, from either end.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    occur_times: &'a [Time],
    record_times: &'a [Time],
    whats: &'a [u32],
    amounts: &'a [i64],
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (occur_time, record_time, what);
        (occur_time, self.occur_times) = self.occur_times.split_first()?;
        (record_time, self.record_times) = self.record_times.split_first()?;
        (what, self.whats) = self.whats.split_first()?;
        let mut amount_minor = None;
        if what & PAID != 0 {
            let amount;
            (amount, self.amounts) = self.amounts.split_first()?;
            amount_minor = Some(*amount);
        }
        Some(Event { occur_time: *occur_time, record_time: *record_time, amount_minor, kind: what & !PAID })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.whats.len(), Some(self.whats.len()))
    }
}

impl DoubleEndedIterator for Events<'_> {
    fn next_back(&mut self) -> Option<Event> {
        let (occur_time, record_time, what);
        (occur_time, self.occur_times) = self.occur_times.split_last()?;
        (record_time, self.record_times) = self.record_times.split_last()?;
        (what, self.whats) = self.whats.split_last()?;
        let mut amount_minor = None;
        if what & PAID != 0 {
            let amount;
            (amount, self.amounts) = self.amounts.split_last()?;
            amount_minor = Some(*amount);
        }
        Some(Event { occur_time: *occur_time, record_time: *record_time, amount_minor, kind: what & !PAID })
    }
}

impl ExactSizeIterator for Events<'_> {}
