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

/// One interaction as the fold sees it, 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When it happened.
    pub occur_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// Money in minor units, or [`Event::NO_AMOUNT`].
    pub amount_minor: i64,
    /// Index into [`History::kinds`].
    pub kind: u32,
}

impl Event {
    /// Stands for "no money involved". No interaction may carry this amount.
    pub const NO_AMOUNT: i64 = i64::MIN;
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

/// All that is stored of one customer. Events are ordered by time of occurrence, equal times by
/// interaction id; versions by their number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    kinds: Vec<Box<str>>,
    events: Vec<Event>,
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
            self.events.last().is_none_or(|last| last.occur_time <= occur_time),
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
            let event = self.events.len() as u32;
            self.surveys.push(Survey { event, satisfaction: score / expected });
        }
        self.events.push(Event {
            occur_time,
            record_time,
            amount_minor: amount_minor.unwrap_or(Event::NO_AMOUNT),
            kind: slot as u32,
        });
    }

    /// Adds a property to the interaction that was pushed last; each name at most once.
    pub fn push_property(&mut self, name: &str, text: &str) {
        debug_assert!(!self.events.is_empty(), "a property belongs to an interaction");
        let event = self.events.len().saturating_sub(1) as u32;
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

    /// The events in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
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

    /// The events that had happened at `as_of` and were known at `known_at`, in order, each with
    /// its index.
    pub fn visible(&self, as_of: Time, known_at: Time) -> impl Iterator<Item = (usize, &Event)> {
        let end = self.events.partition_point(|event| event.occur_time <= as_of);
        self.events[..end].iter().enumerate().filter(move |(_, event)| event.record_time <= known_at)
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
            None => self.visible(as_of, known_at).next().map(|(_, event)| event.occur_time),
        }
    }
}
