//! The iterator over the events of a history.

use super::{Event, columns::Retraction};
use crate::time::Time;

/// Marks an event with an amount, beside its kind.
pub(super) const HAS_AMOUNT: u32 = 1 << 31;
/// Marks an event that is retracted at some time, beside its kind.
pub(super) const IS_RETRACTED: u32 = 1 << 30;
/// The bits of the kind.
pub(super) const KIND: u32 = IS_RETRACTED - 1;

/// The events of a history, from either end.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    pub(super) occur_times: &'a [Time],
    pub(super) record_times: &'a [Time],
    pub(super) kinds: &'a [u32],
    pub(super) amounts: &'a [i64],
    pub(super) retractions: &'a [Retraction],
}

impl Iterator for Events<'_> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (occur_time, record_time, kind);
        (occur_time, self.occur_times) = self.occur_times.split_first()?;
        (record_time, self.record_times) = self.record_times.split_first()?;
        (kind, self.kinds) = self.kinds.split_first()?;
        let mut amount_minor = None;
        if kind & HAS_AMOUNT != 0 {
            let amount;
            (amount, self.amounts) = self.amounts.split_first()?;
            amount_minor = Some(*amount);
        }
        let mut retract_time = None;
        if kind & IS_RETRACTED != 0 {
            let retraction;
            (retraction, self.retractions) = self.retractions.split_first()?;
            retract_time = Some(retraction.time);
        }
        let (occur_time, record_time, kind) = (*occur_time, *record_time, kind & KIND);
        Some(Event { occur_time, record_time, retract_time, amount_minor, kind })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.kinds.len(), Some(self.kinds.len()))
    }
}

impl DoubleEndedIterator for Events<'_> {
    fn next_back(&mut self) -> Option<Event> {
        let (occur_time, record_time, kind);
        (occur_time, self.occur_times) = self.occur_times.split_last()?;
        (record_time, self.record_times) = self.record_times.split_last()?;
        (kind, self.kinds) = self.kinds.split_last()?;
        let mut amount_minor = None;
        if kind & HAS_AMOUNT != 0 {
            let amount;
            (amount, self.amounts) = self.amounts.split_last()?;
            amount_minor = Some(*amount);
        }
        let mut retract_time = None;
        if kind & IS_RETRACTED != 0 {
            let retraction;
            (retraction, self.retractions) = self.retractions.split_last()?;
            retract_time = Some(retraction.time);
        }
        let (occur_time, record_time, kind) = (*occur_time, *record_time, kind & KIND);
        Some(Event { occur_time, record_time, retract_time, amount_minor, kind })
    }
}

impl ExactSizeIterator for Events<'_> {}
