//! The ages of the leads, which say at which ages a model has to learn from them.

use std::collections::BTreeMap;

use super::DataProfile;
use crate::{
    history::{History, kind},
    spec::{LeadSpec, Selector},
    time::Time,
};

/// A greater age than this must be that of at least as many leads, and of one in a hundred.
const FEWEST_LEADS: u64 = 10;

/// The ages of leads at one moment: how many leads are of each age, in whole days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeadAges(BTreeMap<u32, u64>);

impl LeadAges {
    /// Counts a customer, if it is a lead at `as_of`.
    pub(super) fn add(&mut self, history: &History, as_of: Time) {
        let Some(create_time) = history.create_time(as_of, as_of) else { return };
        if create_time <= as_of && !history.has(kind::PURCHASE, None, as_of, as_of) {
            let days = as_of.days_since(create_time);
            *self.0.entry(days as u32).or_default() += 1;
        }
    }

    pub(super) fn merge(&mut self, others: Self) {
        others.0.into_iter().for_each(|(days, leads)| *self.0.entry(days).or_default() += leads);
    }

    /// The number of leads.
    #[must_use]
    pub fn leads(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many leads are older than this many days.
    #[must_use]
    pub fn older_than(&self, days: u32) -> u64 {
        self.0.range(days.saturating_add(1)..).map(|(_, leads)| leads).sum()
    }

    /// The greatest age that enough leads have reached; 0 without any.
    fn reached(&self) -> u32 {
        let enough = FEWEST_LEADS.max(self.leads().div_ceil(100));
        let mut older = 0;
        for (days, leads) in self.0.iter().rev() {
            older += leads;
            if older >= enough {
                return *days;
            }
        }
        0
    }
}

impl DataProfile {
    /// The ages of the leads.
    #[must_use]
    pub const fn lead_ages(&self) -> &LeadAges {
        &self.lead_ages
    }

    /// The ages at which snapshots of leads are taken: those that the spec lists, or 0, 3, 7, 14, 30, 60, 120 and so on
    /// up to the greatest age at which enough of the present leads have an outcome, and that age. The one before it is
    /// at most four fifths of it, so that the two differ. Each is about twice the one before, since the first weeks,
    /// in which most leads decide, change the chances as much as the years after.
    #[must_use]
    pub fn ages_days(&self, spec: &LeadSpec) -> Vec<u32> {
        if let Selector::List(ages) = &spec.ages_days {
            return ages.clone();
        }
        let last = self.lead_ages.reached().saturating_sub(spec.horizon_days);
        let doubling = std::iter::successors(Some(30_u32), |days| days.checked_mul(2));
        let mut ages: Vec<u32> =
            [0, 3, 7, 14].into_iter().chain(doubling).take_while(|days| *days <= last / 5 * 4).collect();
        ages.push(last);
        ages.dedup();
        ages
    }
}
