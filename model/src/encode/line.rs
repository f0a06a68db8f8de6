//! The columns of a number that follow its value.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::Form;

/// A number with a skewness above this goes through the log, if that makes it less skewed.
const SKEWED: f64 = 1.0;
/// How far an attribute is followed beyond its range in training, as a share of the range. Prices and rates trend, so
/// that the next month is a little beyond; a wrong unit is far beyond.
const BEYOND: f64 = 0.25;
/// The quantiles of the hinges of [`Form::Spline`].
const KNOTS: [f64; 3] = [0.25, 0.5, 0.75];

/// The scale on which a number is standardised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    Value,
    /// sign(x) · ln(1 + |x|).
    Log,
}

impl Transform {
    #[inline]
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Value => value,
            Self::Log => value.signum() * ln_1_plus(value.abs()),
        }
    }

    pub(super) fn invert(self, value: f64) -> f64 {
        match self {
            Self::Value => value,
            Self::Log => value.signum() * value.abs().exp_m1(),
        }
    }
}

/// ln(1 + x) for x ≥ 0, near 0 only to an absolute 1e-16, which no model notices: `ln_1p` takes twice as long.
/// Most values are small counts, whose logarithms come from a table.
fn ln_1_plus(value: f64) -> f64 {
    static COUNTS: LazyLock<[f64; 256]> = LazyLock::new(|| std::array::from_fn(|n| (1.0 + n as f64).ln()));
    let count = value as usize;
    match COUNTS.get(count) {
        Some(log) if count as f64 == value => *log,
        _ => (1.0 + value).ln(),
    }
}

/// The columns of a number that follow its value: the standardised value z, then max(0, z − knot) for
/// each hinge. All are 0 when the value is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The scale on which it is standardised.
    pub transform: Transform,
    /// Lower values are clamped to this: the least value in training, or somewhat below it for an attribute.
    pub low: f64,
    /// Higher values are clamped to this: the greatest value in training, or somewhat above it for an attribute.
    pub high: f64,
    /// Mean on the transformed scale.
    pub mean: f64,
    /// Standard deviation on the transformed scale, above 0.
    pub sd: f64,
    /// What the columns are multiplied by: a penalty λ on the weights is one of λ / scale² on the slopes.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub scale: f64,
    /// The knots on the standardised scale, rising, each with the mean of its hinge.
    pub hinges: Vec<(f64, f64)>,
}

pub const fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub fn is_one(scale: &f64) -> bool {
    *scale == 1.0
}

impl Line {
    /// The number of columns.
    #[must_use]
    pub const fn width(&self) -> usize {
        1 + self.hinges.len()
    }

    /// Follows values by [`BEYOND`] beyond the range in training, and no further than that on the scale on which they
    /// are standardised, as far as the bounds are finite. The logarithm of a value that is a little below the range may
    /// be far below it.
    pub(super) fn extended(self) -> Self {
        let extended = |low: f64, high: f64| {
            let beyond = BEYOND * high - BEYOND * low;
            [low - beyond, high + beyond]
        };
        let ends = extended(self.low, self.high);
        let on_scale = extended(self.transform.apply(self.low), self.transform.apply(self.high));
        let on_scale = on_scale.map(|end| self.transform.invert(end));
        // Through the logarithm and back, values with many digits are rounded.
        let (low, high) = (ends[0].max(on_scale[0]).min(self.low), ends[1].min(on_scale[1]).max(self.high));
        if low.is_finite() && high.is_finite() { Self { low, high, ..self } } else { self }
    }

    #[inline]
    fn standardised(&self, raw: f64) -> f64 {
        (self.transform.apply(raw.clamp(self.low, self.high)) - self.mean) / self.sd
    }

    /// Writes the columns of a raw value.
    #[inline]
    pub fn write(&self, raw: f64, out: &mut [f64]) {
        if raw.is_nan() {
            out.fill(0.0);
            return;
        }
        let z = self.standardised(raw);
        out[0] = self.scale * z;
        for ((knot, mean), column) in self.hinges.iter().zip(&mut out[1..]) {
            *column = self.scale * ((z - knot).max(0.0) - mean);
        }
    }

    /// Adds hinges at those of these rising raw values that are within the range; `present` are the values in training.
    pub(super) fn with_hinges(mut self, knots: &[f64], present: &[f64]) -> Self {
        let mut knots: Vec<f64> =
            knots.iter().copied().filter(|knot| self.low < *knot && *knot < self.high).collect();
        knots.dedup();
        let hinge = |knot: f64| {
            let knot = self.standardised(knot);
            let above = present.iter().map(|value| (self.standardised(*value) - knot).max(0.0));
            (knot, above.sum::<f64>() / present.len() as f64)
        };
        self.hinges = knots.into_iter().map(hinge).collect();
        self
    }
}

/// The line without hinges for rising values, of which there is at least one; None when they are all the same.
pub(super) fn line(present: &[f64], form: Form) -> Option<Line> {
    let (low, high) = (present[0], present[present.len() - 1]);
    let plain = Moments::of(present, Transform::Value);
    let log = Moments::of(present, Transform::Log);
    let skewed = plain.skewness > SKEWED && log.skewness.abs() < plain.skewness && log.sd > 0.0;
    let (transform, moments) = if !plain.are_finite() || (form != Form::Plain && skewed) {
        (Transform::Log, log)
    } else {
        (Transform::Value, plain)
    };
    let Moments { mean, sd, .. } = moments;
    (low < high && sd > 0.0).then_some(Line {
        transform,
        low,
        high,
        mean,
        sd,
        scale: 1.0,
        hinges: Vec::new(),
    })
}

/// The knots of [`Form::Spline`] for rising values, of which there is at least one.
pub(super) fn quartiles(present: &[f64]) -> Vec<f64> {
    KNOTS.into_iter().map(|share| present[(share * (present.len() - 1) as f64) as usize]).collect()
}

/// Mean, standard deviation and skewness of a sample.
struct Moments {
    mean: f64,
    sd: f64,
    skewness: f64,
}

impl Moments {
    fn of(values: &[f64], transform: Transform) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().map(|value| transform.apply(*value)).sum::<f64>() / n;
        let mean_of = |power: i32, scale: f64| {
            values.iter().map(|value| ((transform.apply(*value) - mean) / scale).powi(power)).sum::<f64>() / n
        };
        let sd = mean_of(2, 1.0).sqrt();
        Self { mean, sd, skewness: if sd > 0.0 { mean_of(3, sd) } else { 0.0 } }
    }

    /// False when the squares of the values overflow.
    const fn are_finite(&self) -> bool {
        self.mean.is_finite() && self.sd.is_finite() && self.skewness.is_finite()
    }
}
