//! The part of the row that is about numeric properties: sums by window, the mean and the latest value.

use crate::{
    features::Plan,
    history::History,
    time::{DAY, Time},
};

/// Count and latest value of one property of the plan.
#[derive(Clone, Copy)]
struct PropertyTally {
    count: u64,
    last: f64,
}

impl PropertyTally {
    const NONE: Self = Self { count: 0, last: f64::NAN };
}

/// The sums of the properties of a plan over a history.
pub(super) struct PropertyTallies<'a> {
    plan: &'a Plan,
    history: &'a History,
    /// Per kind and property of the history, the index in the plan.
    places: Vec<Option<usize>>,
    /// Per property of the plan.
    tallies: Vec<PropertyTally>,
    /// Per property of the plan and interval between the edges of two windows.
    sums: Vec<f64>,
}

impl<'a> PropertyTallies<'a> {
    pub(super) fn new(plan: &'a Plan, history: &'a History) -> Self {
        let width = history.properties().len();
        let mut places = Vec::new();
        if !plan.properties.is_empty() {
            places.resize(history.kinds().len() * width, None);
        }
        for (place, (kind, name)) in plan.properties.iter().enumerate() {
            if let Some((kind, property)) = history.kind_slot(kind).zip(history.property_slot(name)) {
                places[kind as usize * width + property as usize] = Some(place);
            }
        }
        let tallies = vec![PropertyTally::NONE; plan.properties.len()];
        let sums = vec![0.0; plan.properties.len() * (plan.windows_days.len() + 1)];
        Self { plan, history, places, tallies, sums }
    }

    /// Appends the values to a row. A sum of floating point numbers depends on its order: it goes from the newest
    /// to the oldest, and each window continues the next shorter one.
    pub(super) fn write(&mut self, as_of: Time, known_at: Time, row: &mut Vec<f64>) {
        if self.tallies.is_empty() {
            return;
        }
        self.add_up(as_of, known_at);
        for (sums, tally) in self.sums.chunks(self.plan.windows_days.len() + 1).zip(&self.tallies) {
            let mut sum = 0.0;
            row.extend(sums.iter().map(|new| {
                sum += new;
                sum
            }));
            row.push(if tally.count == 0 { f64::NAN } else { sum / tally.count as f64 });
            row.push(tally.last);
        }
    }

    fn add_up(&mut self, as_of: Time, known_at: Time) {
        let Self { plan, history, places, tallies, sums } = self;
        let intervals = plan.windows_days.len() + 1;
        let width = history.properties().len();
        tallies.fill(PropertyTally::NONE);
        sums.fill(0.0);
        for number in history.numbers_until(as_of).iter().rev() {
            let Some(kind) = history.kind_if_visible(number.event, as_of, known_at) else { continue };
            if let Some(place) = places[kind as usize * width + number.property as usize] {
                let age = as_of.0.saturating_sub(history.occur_time(number.event).0);
                let interval = plan.windows_days.iter().position(|days| age < i64::from(*days) * DAY);
                sums[place * intervals + interval.unwrap_or(intervals - 1)] += number.value;
                let tally = &mut tallies[place];
                if tally.count == 0 {
                    tally.last = number.value;
                }
                tally.count += 1;
            }
        }
    }
}
