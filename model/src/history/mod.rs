//! A customer's history: what happened, when, and when it became known, in order and compact.
//!
//! A history is all that a database hands over. It knows nothing of features or models; those are
//! pure functions of it (see [`crate::features`]).

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::time::Time;

mod packed;

pub use packed::{DecodeError, Packed};

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
    /// Index into [`History::properties`].
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
    /// Index into [`History::properties`].
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

/// Different names, each with its slot: its place.
#[derive(Clone, Debug, Default, PartialEq)]
struct Names {
    list: Vec<String>,
    /// The slots by name, once there are more than [`Names::FEW`].
    slots: HashMap<String, u32>,
}

impl Names {
    /// So many are looked through one by one.
    const FEW: usize = 16;

    fn list(&self) -> &[String] {
        &self.list
    }

    fn slot(&self, name: &str) -> Option<u32> {
        if self.list.len() > Self::FEW {
            return self.slots.get(name).copied();
        }
        self.list.iter().position(|known| known == name).map(|slot| slot as u32)
    }

    fn slot_or_new(&mut self, name: &str) -> u32 {
        self.slot(name).unwrap_or_else(|| {
            self.list.push(name.to_owned());
            self.note_slots();
            self.list.len() as u32 - 1
        })
    }

    /// Takes other names, using the room of those before.
    fn refill<'a, E>(
        &mut self,
        names: impl Iterator<Item = Result<&'a [u8], E>>,
        text: impl Fn(&'a [u8]) -> Result<&'a str, E>,
    ) -> Result<(), E> {
        let (mut length, mut same) = (0, true);
        for name in names {
            let name = name?;
            match self.list.get_mut(length) {
                Some(known) if known.as_bytes() == name => {}
                Some(room) => {
                    text(name)?.clone_into(room);
                    same = false;
                }
                None => {
                    self.list.push(text(name)?.to_owned());
                    same = false;
                }
            }
            length += 1;
        }
        if !same || length < self.list.len() {
            self.list.truncate(length);
            self.slots.clear();
            self.note_slots();
        }
        Ok(())
    }

    /// Notes the slots that are not noted yet, when it is worth while.
    fn note_slots(&mut self) {
        if self.list.len() > Self::FEW {
            let new = (self.slots.len()..).zip(&self.list[self.slots.len()..]);
            self.slots.extend(new.map(|(slot, name)| (name.clone(), slot as u32)));
        }
    }
}

/// Marks an event with an amount.
const PAID: u32 = 1 << 31;

/// All that is stored of one customer, in columns to compute with; [`Packed`] is how it is kept. Events are
/// ordered by time of occurrence, equal times by interaction id; versions by their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    kinds: Names,
    /// Per event.
    occur_times: Vec<Time>,
    /// Per event.
    record_times: Vec<Time>,
    /// Per event its kind, and [`PAID`] when it has an amount.
    whats: Vec<u32>,
    /// The amounts of those that have one, in order.
    amounts: Vec<i64>,
    surveys: Vec<Survey>,
    properties: Names,
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
        let slot = self.kinds.slot_or_new(kind);
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
        self.whats.push(slot | if amount_minor.is_some() { PAID } else { 0 });
        self.amounts.extend(amount_minor);
    }

    /// Adds a property to the interaction that was pushed last; each name at most once.
    pub fn push_property(&mut self, name: &str, text: &str) {
        debug_assert!(!self.is_empty(), "a property belongs to an interaction");
        let event = self.len().saturating_sub(1) as u32;
        let property = self.properties.slot_or_new(name);
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
    pub fn kinds(&self) -> &[String] {
        self.kinds.list()
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

    /// Those of the events that had happened at `as_of`.
    #[must_use]
    pub fn numbers_until(&self, as_of: Time) -> &[Number] {
        let end = self.occur_times.partition_point(|time| *time <= as_of) as u32;
        &self.numbers[..self.numbers.partition_point(|number| number.event < end)]
    }

    /// The properties that do not, in the order of the events.
    #[must_use]
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// The names of the properties that occur; [`Number::property`] and [`Text::property`] point in here.
    #[must_use]
    pub fn properties(&self) -> &[String] {
        self.properties.list()
    }

    /// The slot of a property of this name in [`History::properties`], if one occurs.
    #[must_use]
    pub fn property_slot(&self, name: &str) -> Option<u32> {
        self.properties.slot(name)
    }

    /// The versions of the customer record in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The slot of `kind` in [`History::kinds`], if it occurs.
    #[must_use]
    pub fn kind_slot(&self, kind: &str) -> Option<u32> {
        self.kinds.slot(kind)
    }

    /// Whether an event of this kind happened up to `until`, and after a moment if there is one, that was known
    /// at `known_at`.
    #[must_use]
    pub fn has(&self, kind: &str, after: Option<Time>, until: Time, known_at: Time) -> bool {
        let Some(slot) = self.kind_slot(kind) else { return false };
        let begin = after.map_or(0, |after| self.occur_times.partition_point(|time| *time <= after));
        let end = begin + self.occur_times[begin..].partition_point(|time| *time <= until);
        let mut events = self.whats[begin..end].iter().zip(&self.record_times[begin..end]);
        events.any(|(what, record_time)| what & !PAID == slot && *record_time <= known_at)
    }

    /// When the first event after a moment happened.
    #[must_use]
    pub fn first_after(&self, moment: Time) -> Option<Time> {
        self.occur_times.get(self.occur_times.partition_point(|time| *time <= moment)).copied()
    }

    /// The first moment after `as_of` or `known_at`, whichever it is about, at which more is visible: an event or a
    /// version of the record. The greatest number when all is.
    #[must_use]
    pub fn next_news(&self, as_of: Time, known_at: Time) -> Time {
        let recorded =
            self.record_times.iter().chain(self.versions.iter().map(|version| &version.record_time));
        let recorded = recorded.copied().filter(|time| *time > known_at);
        let effective =
            self.versions.iter().map(|version| version.effective_time).filter(|time| *time > as_of);
        self.first_after(as_of).into_iter().chain(recorded).chain(effective).min().unwrap_or(Time(i64::MAX))
    }

    /// The events that had happened at `as_of` and were known at `known_at`, in order.
    pub fn visible(&self, as_of: Time, known_at: Time) -> impl DoubleEndedIterator<Item = Event> {
        let end = self.occur_times.partition_point(|time| *time <= as_of);
        let later_amounts = self.whats[end..].iter().filter(|what| *what & PAID != 0).count();
        let events = Events {
            occur_times: &self.occur_times[..end],
            record_times: &self.record_times[..end],
            whats: &self.whats[..end],
            amounts: &self.amounts[..self.amounts.len() - later_amounts],
        };
        events.filter(move |event| event.record_time <= known_at)
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
