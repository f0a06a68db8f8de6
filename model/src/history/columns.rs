//! The columns of a history, and what is visible of it at a moment.

use super::{
    CHANNEL, Event, Events, Number, Survey, Text, Version,
    events::{HAS_AMOUNT, IS_RETRACTED, KIND},
    is_identifier,
    kind::SURVEY,
    names::NameTable,
};
use crate::time::Time;

/// The time from which on an event does not count any more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Retraction {
    /// Index of the event.
    pub(super) event: u32,
    pub(super) time: Time,
}

/// Everything that is stored of one customer, in columns to compute with; [`Packed`](super::Packed) is the stored
/// form. Events are ordered by time of occurrence, equal times by interaction id, and those of one id by the time of
/// their retraction; versions by their number. An event that is retracted stays, since it was known before.
///
/// ```
/// use tally_model::{
///     history::{History, kind},
///     time::Time,
/// };
///
/// let (monday, friday): (Time, Time) = ("2026-01-05".parse()?, "2026-01-09".parse()?);
/// let mut history = History::default();
/// history.push("visit", monday, monday, None, None);
/// // Happened on Monday, reported on Friday.
/// history.push(kind::PURCHASE, monday, friday, Some(1_999), None);
///
/// assert_eq!(history.visible(monday, monday).count(), 1, "on Monday the purchase is unknown");
/// assert_eq!(history.visible(monday, friday).count(), 2);
/// assert_eq!(history.pack().unpack(), Ok(history));
/// # Ok::<(), tally_model::time::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub(super) kind_names: NameTable,
    /// Per event.
    pub(super) occur_times: Vec<Time>,
    /// Per event.
    pub(super) record_times: Vec<Time>,
    /// Per event its kind, [`HAS_AMOUNT`] when it has an amount, and [`IS_RETRACTED`] when it has a retraction.
    pub(super) kinds: Vec<u32>,
    /// The amounts of the events that have one, in order.
    pub(super) amounts: Vec<i64>,
    /// The retractions of the events that have one, in order.
    pub(super) retractions: Vec<Retraction>,
    pub(super) surveys: Vec<Survey>,
    pub(super) property_names: NameTable,
    pub(super) values: NameTable,
    pub(super) numbers: Vec<Number>,
    pub(super) texts: Vec<Text>,
    pub(super) versions: Vec<Version>,
}

impl History {
    /// Adds the next interaction. `survey` is the score and the expected score of a survey; a pair without a
    /// finite positive ratio is ignored.
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
        let slot = self.kind_names.slot_or_new(kind);
        if let Some((score, expected)) = survey
            && kind == SURVEY
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
        self.kinds.push(slot | if amount_minor.is_some() { HAS_AMOUNT } else { 0 });
        self.amounts.extend(amount_minor);
    }

    /// Retracts the interaction that was pushed last: from `time` on it does not count any more. At most once.
    pub fn push_retraction(&mut self, time: Time) {
        debug_assert!(!self.is_empty(), "a retraction belongs to an interaction");
        let event = self.len().saturating_sub(1) as u32;
        if let Some(kind) = self.kinds.last_mut() {
            *kind |= IS_RETRACTED;
            self.retractions.push(Retraction { event, time });
        }
    }

    /// Adds its channel to the interaction that was pushed last, before its properties; an empty one is none.
    pub fn push_channel(&mut self, channel: &str) {
        if !channel.is_empty() {
            self.push_text(CHANNEL, Some(channel));
        }
    }

    fn push_text(&mut self, name: &str, text: Option<&str>) {
        debug_assert!(!self.is_empty(), "a text belongs to an interaction");
        let event = self.len().saturating_sub(1) as u32;
        let property = self.property_names.slot_or_new(name);
        let value = text.map(|text| self.values.slot_or_new(text));
        self.texts.push(Text { event, property, value });
    }

    /// Adds a property to the interaction that was pushed last; each name at most once.
    pub fn push_property(&mut self, name: &str, text: &str) {
        debug_assert!(!self.is_empty(), "a property belongs to an interaction");
        let Some(value) = Number::parse(text) else {
            let is_kept = text.len() <= Text::LONGEST && !is_identifier(name);
            return self.push_text(name, is_kept.then_some(text));
        };
        let event = self.len().saturating_sub(1) as u32;
        let property = self.property_names.slot_or_new(name);
        self.numbers.push(Number { event, property, value });
    }

    /// Adds the next version of the customer record.
    pub fn push_version(&mut self, version: Version) {
        self.versions.push(version);
    }

    /// The kinds that occur in this history, by [`Event::kind`].
    #[must_use]
    pub fn kinds(&self) -> &[String] {
        self.kind_names.list()
    }

    /// The number of events.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.occur_times.len()
    }

    /// Whether there are no events.
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
            kinds: &self.kinds,
            amounts: &self.amounts,
            retractions: &self.retractions,
        }
    }

    /// Whether the event at index `event` is retracted by `known_at`.
    fn is_retracted(&self, event: usize, known_at: Time) -> bool {
        self.kinds[event] & IS_RETRACTED != 0
            && self
                .retractions
                .binary_search_by_key(&(event as u32), |retraction| retraction.event)
                .is_ok_and(|n| self.retractions[n].time <= known_at)
    }

    /// When the event at index `event` happened.
    #[must_use]
    pub fn occur_time(&self, event: u32) -> Time {
        self.occur_times[event as usize]
    }

    /// The kind of the event at index `event`, if that event is visible.
    #[must_use]
    pub fn kind_if_visible(&self, event: u32, as_of: Time, known_at: Time) -> Option<u32> {
        let n = event as usize;
        let visible = self.occur_times[n] <= as_of && self.record_times[n] <= known_at;
        (visible && !self.is_retracted(n, known_at)).then_some(self.kinds[n] & KIND)
    }

    /// The answers to surveys, in order.
    #[must_use]
    pub fn surveys(&self) -> &[Survey] {
        &self.surveys
    }

    /// The properties that are numbers, in the order of the events.
    #[must_use]
    pub fn numbers(&self) -> &[Number] {
        &self.numbers
    }

    /// The numbers of events that happened by `as_of`.
    #[must_use]
    pub fn numbers_until(&self, as_of: Time) -> &[Number] {
        let end = self.occur_times.partition_point(|time| *time <= as_of) as u32;
        &self.numbers[..self.numbers.partition_point(|number| number.event < end)]
    }

    /// The texts of events that happened by `as_of`.
    #[must_use]
    pub fn texts_until(&self, as_of: Time) -> &[Text] {
        let end = self.occur_times.partition_point(|time| *time <= as_of) as u32;
        &self.texts[..self.texts.partition_point(|text| text.event < end)]
    }

    /// The texts that are kept, by [`Text::value`].
    #[must_use]
    pub fn values(&self) -> &[String] {
        self.values.list()
    }

    /// The properties that are not numbers, and the channels, in the order of the events.
    #[must_use]
    pub fn texts(&self) -> &[Text] {
        &self.texts
    }

    /// The names of the properties that occur, by [`Number::property`] and [`Text::property`].
    #[must_use]
    pub fn properties(&self) -> &[String] {
        self.property_names.list()
    }

    /// The index of a property in [`History::properties`], if it occurs.
    #[must_use]
    pub fn property_slot(&self, name: &str) -> Option<u32> {
        self.property_names.slot(name)
    }

    /// The versions of the customer record in order.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The index of `kind` in [`History::kinds`], if it occurs.
    #[must_use]
    pub fn kind_slot(&self, kind: &str) -> Option<u32> {
        self.kind_names.slot(kind)
    }

    /// Whether an event of this kind happened in (`after`, `until`] and was known at `known_at`; without `after`,
    /// at any time up to `until`.
    #[must_use]
    pub fn has(&self, kind: &str, after: Option<Time>, until: Time, known_at: Time) -> bool {
        let Some(slot) = self.kind_slot(kind) else { return false };
        let begin = after.map_or(0, |after| self.occur_times.partition_point(|time| *time <= after));
        let end = begin + self.occur_times[begin..].partition_point(|time| *time <= until);
        let mut events = (begin..end).zip(&self.kinds[begin..end]).zip(&self.record_times[begin..end]);
        events.any(|((event, kind), record_time)| {
            kind & KIND == slot && *record_time <= known_at && !self.is_retracted(event, known_at)
        })
    }

    /// When the latest event of this kind up to `until` happened, among those known at `known_at`.
    #[must_use]
    pub fn latest(&self, kind: &str, until: Time, known_at: Time) -> Option<Time> {
        let slot = self.kind_slot(kind)?;
        let end = self.occur_times.partition_point(|time| *time <= until);
        let event = (0..end).rev().find(|event| {
            self.kinds[*event] & KIND == slot
                && self.record_times[*event] <= known_at
                && !self.is_retracted(*event, known_at)
        })?;
        Some(self.occur_times[event])
    }

    /// Whether the customer existed at `as_of`, by all that is stored by now: something had happened, or the record
    /// begins by then. What is stored later can make this true, but never false, so that no score of before is lost.
    #[must_use]
    pub fn existed(&self, as_of: Time) -> bool {
        self.occur_times.first().is_some_and(|first| *first <= as_of)
            || self.versions.iter().any(|version| version.create_time <= as_of)
    }

    /// When the first event after a moment happened.
    #[must_use]
    pub fn first_after(&self, moment: Time) -> Option<Time> {
        self.occur_times.get(self.occur_times.partition_point(|time| *time <= moment)).copied()
    }

    /// The first moment, later than `as_of` or than `known_at`, at which another event or another version of the
    /// record becomes visible, or an event is retracted; the greatest possible time when there is none.
    #[must_use]
    pub fn next_change(&self, as_of: Time, known_at: Time) -> Time {
        let recorded = self
            .record_times
            .iter()
            .chain(self.versions.iter().map(|version| &version.record_time))
            .chain(self.retractions.iter().map(|retraction| &retraction.time));
        let recorded = recorded.copied().filter(|time| *time > known_at);
        let effective =
            self.versions.iter().map(|version| version.effective_time).filter(|time| *time > as_of);
        self.first_after(as_of).into_iter().chain(recorded).chain(effective).min().unwrap_or(Time(i64::MAX))
    }

    /// The events that happened by `as_of` and were known at `known_at`, in order: recorded and not retracted by then.
    pub fn visible(&self, as_of: Time, known_at: Time) -> impl DoubleEndedIterator<Item = Event> {
        let end = self.occur_times.partition_point(|time| *time <= as_of);
        let later_amounts = self.kinds[end..].iter().filter(|kind| *kind & HAS_AMOUNT != 0).count();
        let events = Events {
            occur_times: &self.occur_times[..end],
            record_times: &self.record_times[..end],
            kinds: &self.kinds[..end],
            amounts: &self.amounts[..self.amounts.len() - later_amounts],
            retractions: &self.retractions
                [..self.retractions.partition_point(|retraction| (retraction.event as usize) < end)],
        };
        events.filter(move |event| event.is_known(known_at))
    }

    /// The version of the customer record in force at `as_of`, as known at `known_at`.
    #[must_use]
    pub fn version_at(&self, as_of: Time, known_at: Time) -> Option<&Version> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.effective_time <= as_of && version.record_time <= known_at)
    }

    /// When the relation began, as of `as_of` and as known at `known_at`: the recorded time of creation, or
    /// else the first interaction. None when nothing is known of the customer.
    #[must_use]
    pub fn create_time(&self, as_of: Time, known_at: Time) -> Option<Time> {
        match self.version_at(as_of, known_at) {
            Some(version) => Some(version.create_time),
            None => self.visible(as_of, known_at).next().map(|event| event.occur_time),
        }
    }
}
