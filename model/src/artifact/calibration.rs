//! Calibration: a rising curve from the log-odds of the regression to calibrated log-odds.

use serde::{Deserialize, Serialize};

/// A rising curve from log-odds to log-odds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "calibration", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// slope · z + offset (Platt 1999), slope > 0.
    Platt {
        /// Above 0; below 1 when the scores were overconfident.
        slope: f64,
        /// Log-odds.
        offset: f64,
    },
    /// The rising step function of least loss (pool adjacent violators: Ayer and others 1955), its
    /// steps joined by straight lines, going on with slope 1 outside.
    Isotonic {
        /// (z, calibrated z), both strictly rising; at least two.
        knots: Vec<(f64, f64)>,
    },
}

impl Calibration {
    /// `platt` or `isotonic`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Platt { .. } => "platt",
            Self::Isotonic { .. } => "isotonic",
        }
    }

    /// The calibrated log-odds.
    #[must_use]
    pub fn apply(&self, z: f64) -> f64 {
        match self {
            Self::Platt { slope, offset } => slope * z + offset,
            Self::Isotonic { knots } => {
                let above = knots.partition_point(|(knot, _)| *knot <= z);
                match (above.checked_sub(1).map(|below| knots[below]), knots.get(above)) {
                    (Some((x0, y0)), Some((x1, y1))) => y0 + (z - x0) * (y1 - y0) / (x1 - x0),
                    (Some((x, y)), None) | (None, Some(&(x, y))) => y + (z - x),
                    (None, None) => z,
                }
            }
        }
    }

    /// The mean slope between `from` and `to`: (g(to) − g(from)) / (to − from).
    #[must_use]
    pub fn slope_between(&self, from: f64, to: f64) -> f64 {
        match self {
            Self::Platt { slope, .. } => *slope,
            // So near to each other, both are on the same straight line (except at a knot).
            Self::Isotonic { .. } if (to - from).abs() < 1e-9 => {
                (self.apply(from + 1e-6) - self.apply(from - 1e-6)) / 2e-6
            }
            Self::Isotonic { .. } => (self.apply(to) - self.apply(from)) / (to - from),
        }
    }

    /// Whether the curve rises and all its numbers are finite.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match self {
            Self::Platt { slope, offset } => *slope > 0.0 && slope.is_finite() && offset.is_finite(),
            Self::Isotonic { knots } => {
                knots.len() >= 2
                    && knots.iter().all(|(x, y)| x.is_finite() && y.is_finite())
                    && knots.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1)
            }
        }
    }
}
