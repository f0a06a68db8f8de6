//! The bins of a feature or of the score, and the training rows in them.

use serde::{Deserialize, Serialize};

use super::Bin;
use crate::features::explain::FeatureValue;

/// The most bins of a number, of about equal size in training.
const BINS: usize = 10;
/// Standardised values are clamped to ± this, and counted in millionths.
const MOST_DEVIATIONS: f64 = 1_000.0;
pub(super) const MILLION: f64 = 1e6;

/// The bins of one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "bins", rename_all = "snake_case")]
pub(super) enum Bins {
    /// Bin n holds the values above edge n − 1 and not above edge n; the last those above all edges.
    Number {
        /// Strictly rising; all below the greatest value in training, so that no bin was empty.
        edges: Vec<f64>,
        /// The mean in training.
        mean: f64,
        /// The standard deviation in training; 0 when it cannot be divided by.
        sd: f64,
    },
    /// Bin n holds raw value n.
    Level {
        /// The number of levels.
        levels: usize,
    },
}

impl Bins {
    /// Quantile bins of rising values.
    ///
    /// An edge lies midway between two neighbouring values, not on one. Ages grow with every second, and a value that
    /// many customers share, such as the days since an e-mail that all of them got at one moment, would leave its bin
    /// at once.
    pub(super) fn of_numbers(sorted: &[f64]) -> Self {
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
            return Self::Number { edges: Vec::new(), mean: 0.0, sd: 0.0 };
        };
        // The last value of a bin is chosen among those below the greatest.
        let below = &sorted[..sorted.partition_point(|value| value < high)];
        let quantile = |n: usize| (n * sorted.len()).div_ceil(BINS).saturating_sub(1);
        let mut ends: Vec<f64> =
            (1..BINS).filter_map(|n| below.get(quantile(n)).or(below.last()).copied()).collect();
        ends.dedup();
        let next = |end: &f64| sorted[sorted.partition_point(|value| value <= end)];
        let edges = ends.iter().map(|end| midway(*end, next(end))).collect();
        let n = sorted.len() as f64;
        let (mean, sd) = if low == high {
            (*low, 0.0)
        } else {
            let mean = sorted.iter().map(|value| value / n).sum::<f64>();
            let sd = sorted.iter().map(|value| (value - mean).powi(2) / n).sum::<f64>().sqrt();
            // Values whose squares overflow have no standard deviation.
            (mean, if sd.is_finite() { sd } else { 0.0 })
        };
        Self::Number { edges, mean, sd }
    }

    /// The number of bins without that for missing values.
    pub(super) const fn count(&self) -> usize {
        match self {
            Self::Number { edges, .. } => edges.len() + 1,
            Self::Level { levels } => *levels,
        }
    }

    /// The bin of a value; that for missing values comes after all others.
    pub(super) fn place(&self, value: f64) -> usize {
        match self {
            _ if value.is_nan() => self.count(),
            Self::Number { edges, .. } => edges.partition_point(|edge| *edge < value),
            Self::Level { levels } => (value as usize).min(levels - 1),
        }
    }

    /// The distance of a value from the mean in training, in millionths of the standard deviation.
    pub(super) fn deviation(&self, value: f64) -> i64 {
        match self {
            Self::Number { mean, sd, .. } if *sd > 0.0 && !value.is_nan() => {
                let deviations = ((value - mean) / sd).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
                (deviations * MILLION).round() as i64
            }
            _ => 0,
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        match self {
            Self::Number { edges, mean, sd } => {
                edges.len() < BINS
                    && edges.iter().chain([mean, sd]).all(|number| number.is_finite())
                    && edges.is_sorted_by(|a, b| a < b)
                    && *sd >= 0.0
            }
            Self::Level { levels } => *levels > 0,
        }
    }
}

/// The middle of two values, the first below the second; the first if there is no number between them.
const fn midway(low: f64, high: f64) -> f64 {
    let middle = low.midpoint(high);
    if middle < high { middle } else { low }
}

/// The bins of one quantity, and the number of training rows in each; the last is for missing values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Distribution {
    #[serde(flatten)]
    pub(super) bins: Bins,
    pub(super) rows: Vec<u64>,
    /// The least and the greatest value that the model has learned from, for features that are numbers; None in models
    /// that were stored before there was this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) learned: Option<[f64; 2]>,
}

impl Distribution {
    pub(super) fn new(bins: Bins, values: impl Iterator<Item = f64>) -> Self {
        let mut rows = vec![0; bins.count() + 1];
        values.for_each(|value| rows[bins.place(value)] += 1);
        Self { bins, rows, learned: None }
    }

    pub(super) fn of_numbers(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        Self::new(Bins::of_numbers(&sorted), values.iter().copied())
    }

    /// Whether the value lies beyond what the model has learned from.
    pub(super) fn is_beyond(&self, value: f64) -> bool {
        self.learned.is_some_and(|[low, high]| value < low || value > high)
    }

    pub(super) fn is_valid(&self) -> bool {
        let is_range = |[low, high]: &[f64; 2]| low.is_finite() && high.is_finite() && low <= high;
        self.bins.is_valid()
            && self.rows.len() == self.bins.count() + 1
            && total(&self.rows).is_some()
            && self.learned.iter().all(is_range)
    }
}

/// The sum; None when it overflows.
pub(super) fn total(rows: &[u64]) -> Option<u64> {
    rows.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows))
}

impl Bins {
    /// What the bin at `place` holds; `name` gives the value of a level.
    pub(super) fn describe(&self, place: usize, level: impl Fn(f64) -> FeatureValue) -> Bin {
        match self {
            _ if place == self.count() => Bin::Missing,
            Self::Number { edges, .. } => {
                let above = place.checked_sub(1).and_then(|place| edges.get(place));
                Bin::Range(above.copied(), edges.get(place).copied())
            }
            Self::Level { .. } => Bin::Level(level(place as f64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_many_stays_in_its_bin_when_time_passes() {
        // Days since an e-mail: 557 customers got one at the same moment, the others each at another.
        let days = |n: u32| if n < 557 { 3.0 } else { f64::from(n - 557) / 50.0 };
        let after = |seconds: f64| (0..1_000).map(move |n| days(n) + seconds / 86_400.0);
        let training = Distribution::of_numbers(&after(0.0).collect::<Vec<f64>>());
        assert_eq!(training.rows, [100, 608, 92, 100, 100, 0]);
        let later = Distribution::new(training.bins.clone(), after(60.0));
        assert_eq!(later, training);
    }

    #[test]
    fn an_edge_divides_any_two_values() {
        let next = 1.0_f64.next_up();
        for [low, high] in
            [[1.0, next], [next, next.next_up()], [f64::MIN, f64::MAX], [-0.0, f64::from_bits(1)]]
        {
            assert_eq!(Distribution::of_numbers(&[high, low]).rows, [1, 1, 0], "{low}, {high}");
        }
    }
}
