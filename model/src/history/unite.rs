//! The history of a customer with that of other ids that turned out to be the same person.

use super::{
    History, Number, Survey, Text,
    columns::Retraction,
    events::{HAS_AMOUNT, IS_RETRACTED, KIND},
};
use crate::time::Time;

impl History {
    /// Adds the events of other ids that are the same person. Each comes with the time from which it counts: no
    /// event of it counts as known earlier. The versions of the customer record stay those of this history.
    ///
    /// Events are ordered by time of occurrence. Of equal times, those of this history come first, then those of
    /// the others in the order given; within one id the order stays.
    ///
    /// ```
    /// use tally_model::{history::History, time::Time};
    ///
    /// let [monday, friday] = ["2026-01-05", "2026-01-09"].map(|day| day.parse::<Time>().unwrap());
    /// let (mut own, mut other) = (History::default(), History::default());
    /// own.push("call", friday, friday, None, None);
    /// other.push("visit", monday, monday, None, None);
    ///
    /// let united = own.unite(&[(other, friday)]);
    ///
    /// assert_eq!(united.kinds(), ["visit", "call"]);
    /// assert_eq!(united.visible(friday, monday).count(), 0, "on Monday the visit was of somebody else");
    /// assert_eq!(united.visible(friday, friday).count(), 2);
    /// ```
    #[must_use]
    pub fn unite(self, others: &[(Self, Time)]) -> Self {
        let mut united = Self { versions: self.versions.clone(), ..Self::default() };
        let mut sources = vec![Source::new(&self, Time(i64::MIN))];
        sources.extend(others.iter().map(|(history, known_from)| Source::new(history, *known_from)));
        // Of equal times `min_by_key` returns the first.
        while let Some((_, next)) = sources
            .iter_mut()
            .filter_map(|source| Some((source.next_time()?, source)))
            .min_by_key(|(time, _)| *time)
        {
            next.copy_event(&mut united);
        }
        united
    }
}

/// A history that is being copied, event by event.
struct Source<'a> {
    history: &'a History,
    known_from: Time,
    /// The next event, and the next of those columns that do not have one entry an event.
    event: usize,
    amount: usize,
    retractions: &'a [Retraction],
    surveys: &'a [Survey],
    numbers: &'a [Number],
    texts: &'a [Text],
}

impl<'a> Source<'a> {
    fn new(history: &'a History, known_from: Time) -> Self {
        let History { retractions, surveys, numbers, texts, .. } = history;
        Self { history, known_from, event: 0, amount: 0, retractions, surveys, numbers, texts }
    }

    /// When the next event happened; None after the last.
    fn next_time(&self) -> Option<Time> {
        self.history.occur_times.get(self.event).copied()
    }

    /// Appends the next event to another history.
    fn copy_event(&mut self, to: &mut History) {
        let kind = self.history.kinds[self.event];
        let name = &self.history.kind_names.list()[(kind & KIND) as usize];
        let event = to.len() as u32;
        to.kinds.push(to.kind_names.slot_or_new(name) | kind & (HAS_AMOUNT | IS_RETRACTED));
        to.occur_times.push(self.history.occur_times[self.event]);
        to.record_times.push(self.history.record_times[self.event].max(self.known_from));
        if kind & HAS_AMOUNT != 0 {
            to.amounts.push(self.history.amounts[self.amount]);
            self.amount += 1;
        }
        if kind & IS_RETRACTED != 0
            && let Some((retraction, rest)) = self.retractions.split_first()
        {
            to.retractions.push(Retraction { event, time: retraction.time });
            self.retractions = rest;
        }
        if let Some((survey, rest)) = self.surveys.split_first()
            && survey.event as usize == self.event
        {
            to.surveys.push(Survey { event, satisfaction: survey.satisfaction });
            self.surveys = rest;
        }
        self.copy_properties(to, event);
        self.event += 1;
    }

    /// Appends the properties of the next event, by name, as they are read from a database.
    fn copy_properties(&mut self, to: &mut History, event: u32) {
        let names = self.history.property_names.list();
        loop {
            let number = self.numbers.split_first().filter(|(number, _)| number.event as usize == self.event);
            let text = self.texts.split_first().filter(|(text, _)| text.event as usize == self.event);
            let name = |property: u32| names[property as usize].as_str();
            match (number, text) {
                (Some((number, rest)), text)
                    if text.is_none_or(|(text, _)| name(number.property) < name(text.property)) =>
                {
                    let property = to.property_names.slot_or_new(name(number.property));
                    to.numbers.push(Number { event, property, value: number.value });
                    self.numbers = rest;
                }
                (_, Some((text, rest))) => {
                    let property = to.property_names.slot_or_new(name(text.property));
                    let value = text.value.map(|value| &self.history.values.list()[value as usize]);
                    let value = value.map(|value| to.values.slot_or_new(value));
                    to.texts.push(Text { event, property, value });
                    self.texts = rest;
                }
                (_, None) => return,
            }
        }
    }
}
