//! From the sum of the contributions to calibrated log-odds, probability and grade.

use super::{Grade, Scorer};
use crate::spec::Target;

/// The least and the greatest log-odds with a probability of their own: it is never exactly 0 or 1.
const LOG_ODDS: [f64; 2] = [-700.0, 36.0];

/// A sum of contributions after calibration.
pub(super) struct Calibrated {
    /// Log-odds of an average customer.
    pub(super) base: f64,
    /// The calibrated log-odds per unit of an uncalibrated contribution.
    pub(super) slope: f64,
    pub(super) log_odds: f64,
    /// The log-odds before calibration.
    pub(super) uncalibrated: f64,
}

impl Scorer {
    /// The calibrated log-odds for uncalibrated ones.
    pub(super) fn calibrate(&self, z: f64) -> f64 {
        self.artifact().calibration.as_ref().map_or(z, |curve| curve.apply(z))
    }

    /// The mean slope of the calibration between the intercept and `z`.
    pub(super) fn slope(&self, z: f64) -> f64 {
        let artifact = self.artifact();
        artifact.calibration.as_ref().map_or(1.0, |curve| curve.slope_between(artifact.intercept, z))
    }

    /// Calibrates a sum of contributions. A curved calibration scales all contributions alike.
    pub(super) fn calibrate_sum(&self, sum: f64) -> Calibrated {
        let intercept = self.artifact().intercept;
        let uncalibrated = intercept + sum;
        let (base, slope) = (self.calibrate(intercept), self.slope(uncalibrated));
        Calibrated { base, slope, log_odds: base + slope * sum, uncalibrated }
    }

    /// The grade of a probability.
    pub(super) fn grade(&self, probability: f64) -> Grade {
        let artifact = self.artifact();
        let below = quartiles_above(&artifact.quartiles, probability);
        let best_first = match artifact.outcome.target {
            Target::Lead => below,
            Target::Churn => 3 - below,
        };
        [Grade::A, Grade::B, Grade::C, Grade::D][best_first]
    }
}

/// The probability for log-odds, never exactly 0 or 1.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    let [least, greatest] = LOG_ODDS;
    1.0 / (1.0 + (-log_odds.clamp(least, greatest)).exp())
}

/// The number of quartiles above a probability. One that so many customers have that several quartiles are the same
/// lies between those.
fn quartiles_above(quartiles: &[f64; 3], probability: f64) -> usize {
    let count = |is_counted: fn(&f64, &f64) -> bool| {
        quartiles.iter().filter(|quartile| is_counted(quartile, &probability)).count()
    };
    count(|quartile, own| quartile > own) + count(|quartile, own| quartile == own).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_equal_customers_are_neither_the_best_nor_the_worst_quarter() {
        for (quartiles, wanted) in [
            // 0 is the quarter with the greatest probabilities. A quartile itself belongs to the quarter above it.
            ([0.2, 0.4, 0.6], vec![(0.1, 3), (0.2, 2), (0.3, 2), (0.4, 1), (0.6, 0), (0.7, 0)]),
            ([0.2, 0.2, 0.6], vec![(0.1, 3), (0.2, 2), (0.3, 1), (0.6, 0)]),
            ([0.2, 0.6, 0.6], vec![(0.1, 3), (0.2, 2), (0.6, 1), (0.7, 0)]),
            ([0.2, 0.2, 0.2], vec![(0.1, 3), (0.2, 2), (0.3, 0)]),
        ] {
            for (probability, quarter) in wanted {
                assert_eq!(
                    quartiles_above(&quartiles, probability),
                    quarter,
                    "{probability} of {quartiles:?}"
                );
            }
        }
    }

    #[test]
    fn extreme_log_odds_have_probabilities_in_order_above_0_and_below_1() {
        let probabilities = [f64::NEG_INFINITY, -600.0, -31.0, 0.0, 31.0, f64::INFINITY].map(probability);
        assert!(probabilities.is_sorted_by(|a, b| a < b), "{probabilities:?}");
        assert!(probabilities[0] > 0.0 && probabilities[5] < 1.0);
        for z in [-600.0, -61.49, -3.0, 0.0, 5.0] {
            let p = probability(z);
            assert!(((p / (1.0 - p)).ln() - z).abs() < 1e-9);
        }
    }
}
