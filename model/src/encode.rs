//! The encoder: raw feature values -> design row. Fitted at training, stored in the artifact.
//!
//! Numbers are cut to the range seen in training, skewed ones go through a signed log(1 + x), all
//! are standardised; a missing number becomes the mean, with an indicator column beside it.
//! Categories become one indicator column a level. Indicators are centred but not scaled, so that
//! the penalty shrinks rare levels rather than favouring them. Every column has mean 0 in training:
//! the intercept is the log-odds of an average customer, and contributions are relative to it.
//!
//! What never varies is left out, and so is a column that equals an earlier one.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    ops::Range,
};

use ndarray::{Array2, ArrayViewMut1, Axis, ShapeBuilder};
use serde::{Deserialize, Serialize};

use crate::features::{Measure, Scale};

/// A number of a skewness above this goes through the log, when that makes it less skewed.
const SKEWED: f64 = 1.0;

/// The scale that a number is standardised on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// As it is.
    Value,
    /// sign(x) · ln(1 + |x|).
    Log,
}

impl Transform {
    fn apply(self, value: f64) -> f64 {
        match self {
            Self::Value => value,
            Self::Log => value.signum() * value.abs().ln_1p(),
        }
    }

    fn invert(self, value: f64) -> f64 {
        match self {
            Self::Value => value,
            Self::Log => value.signum() * value.abs().exp_m1(),
        }
    }
}

/// How one feature becomes columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "encoding", rename_all = "snake_case")]
pub enum Encoding {
    /// A standardised number, perhaps with an indicator of its absence.
    Number {
        /// The scale that it is standardised on.
        transform: Transform,
        /// The least value in training; lower ones are taken as this.
        low: f64,
        /// The greatest value in training; higher ones are taken as this.
        high: f64,
        /// Mean on the transformed scale.
        mean: f64,
        /// Standard deviation on the transformed scale; 0 leaves the column out.
        sd: f64,
        /// Share of missing values, when an indicator column says so.
        missing: Option<f64>,
    },
    /// One indicator column a level.
    Category {
        /// The raw value that each column stands for, None for missing, with its share of the rows.
        levels: Vec<(Option<u32>, f64)>,
    },
}

impl Encoding {
    /// How many columns the feature takes.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Number { sd, missing, .. } => usize::from(*sd > 0.0) + usize::from(missing.is_some()),
            Self::Category { levels } => levels.len(),
        }
    }

    /// Writes the columns of one raw value.
    fn write(&self, raw: f64, out: &mut [f64]) {
        match self {
            Self::Number { transform, low, high, mean, sd, missing } => {
                let mut columns = out.iter_mut();
                if *sd > 0.0
                    && let Some(column) = columns.next()
                {
                    *column = if raw.is_nan() {
                        0.0
                    } else {
                        (transform.apply(raw.clamp(*low, *high)) - mean) / sd
                    };
                }
                if let (Some(share), Some(column)) = (missing, columns.next()) {
                    *column = f64::from(u8::from(raw.is_nan())) - share;
                }
            }
            Self::Category { levels } => {
                let level = (!raw.is_nan()).then_some(raw as u32);
                for ((wanted, share), column) in levels.iter().zip(out) {
                    *column = f64::from(u8::from(*wanted == level)) - share;
                }
            }
        }
    }
}

/// One feature of the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// What it measures.
    pub measure: Measure,
    /// Its place in the fold's row.
    pub place: usize,
    /// How it becomes columns.
    pub encoding: Encoding,
}

impl Feature {
    /// The raw value that counts as typical: where a number contributes nothing, or the commonest
    /// level (`NaN` when that is "missing").
    #[must_use]
    pub fn typical(&self) -> f64 {
        match &self.encoding {
            Encoding::Number { transform, mean, .. } => transform.invert(*mean),
            Encoding::Category { levels } => levels
                .iter()
                .fold(None, |best: Option<&(Option<u32>, f64)>, level| match best {
                    Some(best) if best.1 >= level.1 => Some(best),
                    _ => Some(level),
                })
                .and_then(|(level, _)| *level)
                .map_or(f64::NAN, f64::from),
        }
    }

    /// What each column holds: `value`, `log`, `missing`, or `= LEVEL`.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        match &self.encoding {
            Encoding::Number { transform, sd, missing, .. } => {
                let value = if *transform == Transform::Log { "log" } else { "value" };
                (*sd > 0.0)
                    .then_some(value)
                    .into_iter()
                    .chain(missing.map(|_| "missing"))
                    .map(str::to_owned)
                    .collect()
            }
            Encoding::Category { levels } => levels
                .iter()
                .map(|(level, _)| match level {
                    Some(level) => format!("= {}", self.measure.level(f64::from(*level))),
                    None => "missing".to_owned(),
                })
                .collect(),
        }
    }
}

impl Measure {
    /// The name of a raw value of a category: the level, `other`, or empty when it is no category.
    #[must_use]
    pub fn level(&self, raw: f64) -> &str {
        match self {
            Self::Attribute { scale: Scale::Category { levels }, .. } => {
                levels.get(raw as usize).map_or("other", String::as_str)
            }
            _ => "",
        }
    }
}

/// Raw row -> design row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    /// The features that are used, in the order of their columns.
    pub features: Vec<Feature>,
}

impl Encoder {
    /// Fits the encoder to the chosen rows of a flat matrix of raw features.
    ///
    /// `raw` has `measures.len()` values a row; `rows` are the rows to learn from.
    #[must_use]
    pub fn fit(measures: &[Measure], raw: &[f64], rows: &[usize]) -> Self {
        let width = measures.len();
        let mut twins = Twins::default();
        let mut features = Vec::new();
        for (place, measure) in measures.iter().enumerate() {
            let column: Vec<f64> = rows.iter().map(|row| raw[row * width + place]).collect();
            if twins.is_known(column.iter().map(|value| value.to_bits())) {
                continue;
            }
            let encoding = match measure {
                Measure::Attribute { scale: Scale::Category { .. }, .. } => category(&column),
                _ => number(&column, &mut twins),
            };
            if encoding.width() > 0 {
                features.push(Feature { measure: measure.clone(), place, encoding });
            }
        }
        Self { features }
    }

    /// How many columns a design row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.features.iter().map(|feature| feature.encoding.width()).sum()
    }

    /// Each feature with the columns it takes.
    pub fn columns(&self) -> impl Iterator<Item = (&Feature, Range<usize>)> {
        self.features.iter().scan(0, |start, feature| {
            let columns = *start..*start + feature.encoding.width();
            *start = columns.end;
            Some((feature, columns))
        })
    }

    /// Writes the design row of one raw row; `out` has [`Encoder::width`] places.
    pub fn encode(&self, raw: &[f64], out: &mut [f64]) {
        for (feature, columns) in self.columns() {
            feature.encoding.write(raw[feature.place], &mut out[columns]);
        }
    }

    /// The design matrix of the chosen rows, column-major; `raw` has `raw_width` values a row.
    #[must_use]
    pub fn matrix(&self, raw: &[f64], raw_width: usize, rows: &[usize]) -> Array2<f64> {
        let mut matrix = Array2::zeros((rows.len(), self.width()).f());
        let mut buffer = vec![0.0; self.width()];
        for (row, mut out) in rows.iter().zip(matrix.axis_iter_mut(Axis(0))) {
            self.encode(&raw[row * raw_width..(row + 1) * raw_width], &mut buffer);
            copy(&buffer, &mut out);
        }
        matrix
    }
}

fn copy(from: &[f64], to: &mut ArrayViewMut1<'_, f64>) {
    for (from, to) in from.iter().zip(to) {
        *to = *from;
    }
}

/// Recognises columns that were there before. The digest is 64 bits wide: two different columns
/// taken for twins would cost a feature, once in 10^19 pairs.
#[derive(Default)]
struct Twins(HashSet<u64>);

impl Twins {
    fn is_known(&mut self, column: impl Iterator<Item = u64>) -> bool {
        let mut hasher = DefaultHasher::new();
        column.for_each(|bits| bits.hash(&mut hasher));
        !self.0.insert(hasher.finish())
    }
}

fn category(column: &[f64]) -> Encoding {
    let mut counts = std::collections::BTreeMap::<Option<u32>, usize>::new();
    for value in column {
        *counts.entry((!value.is_nan()).then_some(*value as u32)).or_default() += 1;
    }
    let share = |count| count as f64 / column.len() as f64;
    let levels = counts.into_iter().map(|(level, count)| (level, share(count))).collect::<Vec<_>>();
    Encoding::Category { levels: if levels.len() > 1 { levels } else { Vec::new() } }
}

fn number(column: &[f64], twins: &mut Twins) -> Encoding {
    let present: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    let (low, high) =
        present.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    let absent = column.len() - present.len();
    let missing = (absent > 0
        && !present.is_empty()
        && !twins.is_known(column.iter().map(|value| u64::from(value.is_nan()))))
    .then_some(absent as f64 / column.len() as f64);
    if present.is_empty() || low == high {
        let (low, high) = if present.is_empty() { (0.0, 0.0) } else { (low, high) };
        return Encoding::Number { transform: Transform::Value, low, high, mean: low, sd: 0.0, missing };
    }
    let plain = Moments::of(&present, Transform::Value);
    let log = Moments::of(&present, Transform::Log);
    let (transform, moments) = if !plain.are_finite()
        || (plain.skewness > SKEWED && log.skewness.abs() < plain.skewness && log.sd > 0.0)
    {
        (Transform::Log, log)
    } else {
        (Transform::Value, plain)
    };
    Encoding::Number { transform, low, high, mean: moments.mean, sd: moments.sd, missing }
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

    /// False when the values are so great that their squares are not numbers any more.
    const fn are_finite(&self) -> bool {
        self.mean.is_finite() && self.sd.is_finite() && self.skewness.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measures(n: usize) -> Vec<Measure> {
        (0..n).map(|n| Measure::Count { kind: format!("k{n}"), days: None }).collect()
    }

    #[test]
    fn columns_are_centred_and_what_never_varies_or_repeats_is_left_out() {
        // Columns: plain, constant, twin of the first, with a gap, always missing.
        let raw: Vec<f64> = [1.0, 2.0, 3.0, 4.0]
            .into_iter()
            .zip([f64::NAN, 5.0, 6.0, 5.0])
            .flat_map(|(x, gap)| [x, 7.0, x, gap, f64::NAN])
            .collect();
        let encoder = Encoder::fit(&measures(5), &raw, &[0, 1, 2, 3]);
        let places: Vec<usize> = encoder.features.iter().map(|feature| feature.place).collect();
        assert_eq!(places, [0, 3]);
        assert_eq!(encoder.features[1].column_names(), ["value", "missing"]);
        let matrix = encoder.matrix(&raw, 5, &[0, 1, 2, 3]);
        for mean in matrix.mean_axis(Axis(0)).unwrap() {
            assert!(mean.abs() < 1e-12, "{mean}");
        }
        assert_eq!(matrix[(0, 1)], 0.0, "a missing number is the mean");
        assert_eq!(matrix[(0, 2)], 0.75, "and its indicator says so");
    }

    #[test]
    fn extremes_are_cut_to_the_range_of_training() {
        let raw = [0.0, 1.0, 2.0, 3.0];
        let encoder = Encoder::fit(&measures(1), &raw, &[0, 1, 2, 3]);
        let encode = |value: f64| {
            let mut out = [0.0];
            encoder.encode(&[value], &mut out);
            out[0]
        };
        assert_eq!(encode(1e300), encode(3.0));
        assert_eq!(encode(-1e300), encode(0.0));
    }

    #[test]
    fn skewed_numbers_go_through_the_log_and_back() {
        let raw: Vec<f64> = (0..12).map(|n| f64::from(1 << n)).collect();
        let encoder = Encoder::fit(&measures(1), &raw, &(0..12).collect::<Vec<_>>());
        assert_eq!(encoder.features[0].column_names(), ["log"]);
        let mut out = [1.0];
        encoder.encode(&[encoder.features[0].typical()], &mut out);
        assert!(out[0].abs() < 1e-12, "the typical value contributes nothing");
    }

    #[test]
    fn a_level_unseen_in_training_is_no_level() {
        let levels = ["north", "south"].map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let encoder = Encoder::fit(&[region], &[0.0, 1.0, 1.0, f64::NAN], &[0, 1, 2, 3]);
        assert_eq!(encoder.features[0].column_names(), ["missing", "= north", "= south"]);
        assert_eq!(encoder.features[0].typical(), 1.0);
        let mut out = [0.0; 3];
        encoder.encode(&[2.0], &mut out);
        assert_eq!(out, [-0.25, -0.25, -0.5]);
    }
}
