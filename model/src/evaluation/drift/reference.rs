//! The reference: the distributions of the customers at the training.

use serde::{Deserialize, Serialize};

use super::bins::{Bins, Distribution, total};
use crate::features::Measure;

/// The distribution of each feature and of the score at the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The features, each with its index in the raw row.
    pub(super) features: Vec<(usize, Distribution)>,
    /// The probability.
    pub(super) score: Distribution,
    /// Whether each row is another customer. In models that were stored before there was this field the rows are the
    /// snapshots that they were fitted to, several of a customer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    per_customer: bool,
}

impl Reference {
    /// The distributions over the rows of a flat matrix of raw features, one row a customer, and of their
    /// probabilities.
    ///
    /// `measures` are those of a raw row; `raw` has `measures.len()` values a row. `monitored` are the indices of the
    /// monitored ones, each with the least and the greatest value that the model has learned from, if it is a number.
    /// The order of the rows does not matter.
    #[must_use]
    pub fn new(
        measures: &[Measure],
        monitored: impl IntoIterator<Item = (usize, Option<[f64; 2]>)>,
        raw: &[f64],
        probabilities: &[f64],
    ) -> Self {
        let features = monitored.into_iter().map(|(place, learned)| {
            let column: Vec<f64> = raw.iter().skip(place).step_by(measures.len()).copied().collect();
            let distribution = match levels(&measures[place]) {
                Some(levels) => Distribution::new(Bins::Level { levels }, column.into_iter()),
                None => Distribution::of_numbers(&column),
            };
            (place, Distribution { learned, ..distribution })
        });
        let score = Distribution::of_numbers(probabilities);
        Self { features: features.collect(), score, per_customer: true }
    }

    /// Whether the reference is valid and belongs to a model with these features.
    #[must_use]
    pub fn fits(&self, measures: &[Measure]) -> bool {
        let belongs = |place: usize, bins: &Bins| match (measures.get(place).map(levels), bins) {
            (Some(Some(levels)), Bins::Level { levels: own }) => levels == *own,
            (Some(None), Bins::Number { .. }) => true,
            _ => false,
        };
        self.features.iter().all(|(place, values)| values.is_valid() && belongs(*place, &values.bins))
            && self.score.is_valid()
            && matches!(self.score.bins, Bins::Number { .. })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        total(&self.score.rows).unwrap_or(u64::MAX)
    }

    /// Whether each row is another customer, so that the rows are independent.
    #[must_use]
    pub const fn is_per_customer(&self) -> bool {
        self.per_customer
    }

    pub(super) fn distributions(&self) -> impl Iterator<Item = &Distribution> {
        self.features.iter().map(|(_, distribution)| distribution).chain([&self.score])
    }
}

/// The number of values of a category or a boolean; None for numbers.
const fn levels(measure: &Measure) -> Option<usize> {
    match measure {
        measure if measure.is_boolean() => Some(2),
        measure => measure.level_count(),
    }
}
