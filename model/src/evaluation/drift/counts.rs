//! The counts of a scored population.

use serde::{Deserialize, Serialize};

use super::{
    Reference,
    bins::{Distribution, total},
};

/// A scored population in the bins of a [`Reference`], in constant memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// The number of scored customers.
    pub customers: u64,
    /// How many of them nothing was known about. They have no features and are not compared.
    pub cold: u64,
    /// One for each feature of the reference, and the last for the score.
    pub(super) tallies: Vec<Tally>,
}

/// The counted rows of one quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tally {
    /// Per bin.
    pub(super) rows: Vec<u64>,
    /// The sum of [`Bins::deviation`](super::bins::Bins::deviation).
    pub(super) deviation: i64,
    /// How many values lie beyond what the model has learned from; None if that is not known, and in populations that
    /// were stored before there was this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) beyond: Option<u64>,
}

impl Counts {
    /// No customers.
    #[must_use]
    pub fn new(reference: &Reference) -> Self {
        let empty = |values: &Distribution| Tally {
            rows: vec![0; values.rows.len()],
            deviation: 0,
            beyond: values.learned.map(|_| 0),
        };
        Self { customers: 0, cold: 0, tallies: reference.distributions().map(empty).collect() }
    }

    /// Adds a customer: its raw row, empty when nothing is known about it, and its probability.
    pub fn add(&mut self, reference: &Reference, raw: &[f64], probability: f64) {
        self.customers += 1;
        if raw.is_empty() {
            self.cold += 1;
            return;
        }
        let values = reference.features.iter().map(|(place, _)| raw[*place]).chain([probability]);
        for ((tally, values_of), value) in self.tallies.iter_mut().zip(reference.distributions()).zip(values)
        {
            tally.rows[values_of.bins.place(value)] += 1;
            tally.deviation = tally.deviation.saturating_add(values_of.bins.deviation(value));
            tally.beyond = tally.beyond.map(|beyond| beyond + u64::from(values_of.is_beyond(value)));
        }
    }

    /// Adds other customers that were counted in the same bins.
    pub fn merge(&mut self, others: &Self) {
        self.customers += others.customers;
        self.cold += others.cold;
        for (tally, other) in self.tallies.iter_mut().zip(&others.tallies) {
            tally.rows.iter_mut().zip(&other.rows).for_each(|(rows, more)| *rows += more);
            tally.deviation = tally.deviation.saturating_add(other.deviation);
            tally.beyond = tally.beyond.zip(other.beyond).map(|(beyond, more)| beyond + more);
        }
    }

    /// Whether these are counts in the bins of this reference.
    #[must_use]
    pub fn fit(&self, reference: &Reference) -> bool {
        let fits = |(tally, values): (&Tally, &Distribution)| {
            tally.rows.len() == values.rows.len()
                && total(&tally.rows).is_some_and(|rows| tally.beyond.unwrap_or(0) <= rows)
        };
        self.tallies.len() == reference.features.len() + 1
            && self.tallies.iter().zip(reference.distributions()).all(fits)
    }
}
