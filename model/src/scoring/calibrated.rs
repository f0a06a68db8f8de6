//! From the sum of the contributions to calibrated log-odds, probability and grade.

use super::{Grade, Scorer};
use crate::spec::Target;

/// Log-odds are clamped to ± this, so that a probability is never exactly 0 or 1.
const MOST_LOG_ODDS: f64 = 30.0;

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
        let below = artifact.quartiles.iter().filter(|edge| probability < **edge).count();
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
    1.0 / (1.0 + (-log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)).exp())
}
