//! The encoder: raw feature values -> design row. Fitted at training, stored in the artifact.
//!
//! A feature becomes a *line* (numbers only: a standardised value, perhaps with hinges) and *cells*
//! (which bin or level the value falls into). In the richest [`Form`] a number has both: the line
//! carries the trend, and cumulative ("thermometer") bins carry what departs from it; the L2 penalty
//! then punishes the jumps between neighbouring bins, so that the curves come out smooth. A *cross*
//! is the product of the coarse cells of two features (the pairs of a GA²M: Lou, Caruana, Gehrke and
//! Hooker 2013, "Accurate Intelligible Models with Pairwise Interactions").
//!
//! Numbers are cut to the range seen in training, skewed ones go through a signed log(1 + x). A
//! missing number contributes nothing, with an indicator column beside it. Indicators are centred but
//! not scaled, so that the penalty shrinks rare levels rather than favouring them. Every column has
//! mean 0 in training: the intercept is the log-odds of an average customer, and contributions are
//! relative to it.
//!
//! What never varies is left out, and so is a column that equals an earlier one.

mod cells;
mod line;

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    fmt,
    hash::{Hash, Hasher},
    ops::Range,
};

use serde::{Deserialize, Serialize};

pub use cells::{Cells, Cross, coarse};
pub use line::{Line, Transform};

use crate::features::{Measure, Scale};
use cells::{edges, levels};
use line::line;

/// The bins of a number in [`Form::Steps`], fewest and most, and about how many there are over all
/// features.
const BINS: (usize, usize) = (8, 64);
const BINS_OVER_ALL: usize = 1_000;
/// Rows of the rarer outcome that a bin should have. They are few, since neighbours share strength
/// through the penalty.
const RARER_ROWS_PER_BIN: usize = 5;
/// Values of a number at which effect curves are told, at most.
const GRID: usize = 21;

/// How rich the curves are that a number may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A straight line.
    Plain,
    /// A straight line, on the logarithm of what is skewed.
    Log,
    /// A line with a hinge at each of a few quantiles.
    Spline,
    /// A line and cumulative quantile bins.
    Steps,
}

impl Form {
    /// `plain`, `log`, `spline` or `steps`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Log => "log",
            Self::Spline => "spline",
            Self::Steps => "steps",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One feature of the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// What it measures.
    pub measure: Measure,
    /// Its place in the fold's row.
    pub place: usize,
    /// The columns that follow the value; numbers that vary have them.
    pub line: Option<Line>,
    /// The columns of the cell that the value falls into.
    pub cells: Cells,
    /// Raw values at which the effect curve is told: quantiles of the values in training, rising;
    /// empty for a category.
    pub grid: Vec<f64>,
}

impl Feature {
    /// How many columns the feature takes.
    #[must_use]
    pub fn width(&self) -> usize {
        self.line.as_ref().map_or(0, Line::width) + self.cells.width()
    }

    /// Writes the columns of one raw value: the line's, then those of the cell.
    pub fn write(&self, raw: f64, out: &mut [f64]) {
        let (line, cells) = out.split_at_mut(out.len() - self.cells.width());
        if let Some(of_value) = &self.line {
            of_value.write(raw, line);
        }
        self.cells.write(self.cells.cell(raw), cells);
    }

    /// The raw value that counts as typical: the mean of a number on its own scale, or the commonest
    /// level (`NaN` when that is "missing").
    #[must_use]
    pub fn typical(&self) -> f64 {
        match (&self.line, &self.cells) {
            (Some(line), _) => line.transform.invert(line.mean),
            (None, Cells::Bins { .. }) => self.grid.first().copied().unwrap_or(f64::NAN),
            (None, Cells::Levels { levels }) => levels
                .iter()
                .fold(None, |best: Option<&(Option<u32>, f64)>, level| match best {
                    Some(best) if best.1 >= level.1 => Some(best),
                    _ => Some(level),
                })
                .and_then(|(level, _)| *level)
                .map_or(f64::NAN, f64::from),
        }
    }

    /// The raw values at which the effect curve is told: the grid or the levels, and `NaN` when
    /// missing values have an effect of their own.
    #[must_use]
    pub fn curve_values(&self) -> Vec<f64> {
        match &self.cells {
            Cells::Bins { missing, .. } => {
                self.grid.iter().copied().chain(missing.map(|_| f64::NAN)).collect()
            }
            Cells::Levels { levels } => {
                levels.iter().map(|(level, _)| level.map_or(f64::NAN, f64::from)).collect()
            }
        }
    }

    /// What each column holds: `value`, `log`, `hinge at X`, `> X`, `missing`, or `= LEVEL`.
    #[must_use]
    pub fn column_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        if let Some(line) = &self.line {
            names.push(if line.transform == Transform::Log { "log" } else { "value" }.to_owned());
            let natural = |knot: f64| line.transform.invert(line.mean + line.sd * knot);
            names.extend(line.hinges.iter().map(|(knot, _)| format!("hinge at {}", short(natural(*knot)))));
        }
        names.extend(self.cells.column_names(&self.measure));
        names
    }
}

/// A number to six digits, enough to tell columns apart.
fn short(number: f64) -> f64 {
    format!("{number:.5e}").parse().unwrap_or(number)
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

    const fn is_category(&self) -> bool {
        matches!(self, Self::Attribute { scale: Scale::Category { .. }, .. })
    }
}

/// Raw row -> design row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// How rich the curves of numbers are.
    pub form: Form,
    /// The features that are used, in the order of their columns.
    pub features: Vec<Feature>,
    /// The crosses, whose columns come after those of all features.
    pub crosses: Vec<Cross>,
}

/// Training rows that an encoder is fitted to: a flat matrix of raw features, and which of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// What the columns measure.
    pub measures: &'a [Measure],
    /// `measures.len()` values a row.
    pub raw: &'a [f64],
    /// The rows to learn from.
    pub rows: &'a [usize],
    /// How many of them have the rarer outcome.
    pub rarer: usize,
}

impl Sample<'_> {
    fn column(&self, place: usize) -> Vec<f64> {
        self.rows.iter().map(|row| self.raw[row * self.measures.len() + place]).collect()
    }
}

impl Encoder {
    /// Fits the encoder to `sample`, with the features at the places in `keep` (None: all that vary).
    #[must_use]
    pub fn fit(sample: Sample<'_>, form: Form, keep: Option<&[usize]>) -> Self {
        let wanted = |place: &usize| keep.is_none_or(|keep| keep.contains(place));
        let places: Vec<usize> = (0..sample.measures.len()).filter(wanted).collect();
        let numbers = places.iter().filter(|place| !sample.measures[**place].is_category()).count();
        let most = (BINS_OVER_ALL / numbers.max(1)).min(sample.rarer / RARER_ROWS_PER_BIN);
        let bins = most.clamp(BINS.0, BINS.1);
        let mut twins = Twins::default();
        let mut features = Vec::new();
        for place in places {
            let measure = &sample.measures[place];
            let column = sample.column(place);
            if twins.is_known(column.iter().map(|value| value.to_bits())) {
                continue;
            }
            let (line, cells, grid) = if measure.is_category() {
                (None, levels(&column), Vec::new())
            } else {
                number(&column, form, bins, &mut twins)
            };
            let feature = Feature { measure: measure.clone(), place, line, cells, grid };
            if feature.width() > 0 {
                features.push(feature);
            }
        }
        Self { form, features, crosses: Vec::new() }
    }

    /// Adds crosses of these pairs of places.
    #[must_use]
    pub fn with_crosses(mut self, sample: Sample<'_>, pairs: &[[usize; 2]]) -> Self {
        for places in pairs {
            let index = |place: &usize| self.features.iter().position(|feature| feature.place == *place);
            let (Some(first), Some(second)) = (index(&places[0]), index(&places[1])) else { continue };
            let columns = places.map(|place| sample.column(place));
            let cells = [(first, &columns[0]), (second, &columns[1])]
                .map(|(n, column)| coarse(&self.features[n].measure, column));
            let mut cross = Cross { features: [first, second], cells, means: Vec::new() };
            let width = cross.width();
            if width == 0 {
                continue;
            }
            cross.means = vec![0.0; width];
            let mut counts = vec![0_usize; cross.count()];
            for (a, b) in columns[0].iter().zip(&columns[1]) {
                counts[cross.cell(*a, *b)] += 1;
            }
            let (mut sums, mut out) = (vec![0.0; width], vec![0.0; width]);
            for (cell, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
                cross.write(cell, &mut out);
                sums.iter_mut().zip(&out).for_each(|(sum, value)| *sum += value * count as f64);
            }
            cross.means = sums.into_iter().map(|sum| sum / sample.rows.len() as f64).collect();
            self.crosses.push(cross);
        }
        self
    }

    /// How many columns a design row has.
    #[must_use]
    pub fn width(&self) -> usize {
        let features: usize = self.features.iter().map(Feature::width).sum();
        features + self.crosses.iter().map(Cross::width).sum::<usize>()
    }

    /// Each feature with the columns it takes.
    pub fn columns(&self) -> impl Iterator<Item = (&Feature, Range<usize>)> {
        self.features.iter().scan(0, |start, feature| {
            let columns = *start..*start + feature.width();
            *start = columns.end;
            Some((feature, columns))
        })
    }

    /// Each cross with the columns it takes.
    pub fn cross_columns(&self) -> impl Iterator<Item = (&Cross, Range<usize>)> {
        let start: usize = self.features.iter().map(Feature::width).sum();
        self.crosses.iter().scan(start, |start, cross| {
            let columns = *start..*start + cross.width();
            *start = columns.end;
            Some((cross, columns))
        })
    }

    /// The feature and the content of each column; of a cross `FIRST × SECOND`.
    #[must_use]
    pub fn column_names(&self) -> Vec<(String, String)> {
        let features = self.features.iter().flat_map(|feature| {
            feature.column_names().into_iter().map(|column| (feature.measure.to_string(), column))
        });
        let crosses = self.crosses.iter().flat_map(|cross| {
            let [first, second] = cross.features.map(|n| &self.features[n].measure);
            let [columns, others] = [(0, first), (1, second)].map(|(n, m)| cross.cells[n].column_names(m));
            let name = format!("{first} × {second}");
            let pairs = columns.iter().flat_map(|a| others.iter().map(move |b| format!("{a} × {b}")));
            pairs.map(|column| (name.clone(), column)).collect::<Vec<_>>()
        });
        features.chain(crosses).collect()
    }

    /// Writes the design row of one raw row; `out` has [`Encoder::width`] places.
    pub fn encode(&self, raw: &[f64], out: &mut [f64]) {
        for (feature, columns) in self.columns() {
            feature.write(raw[feature.place], &mut out[columns]);
        }
        for (cross, columns) in self.cross_columns() {
            let [first, second] = cross.features.map(|n| raw[self.features[n].place]);
            cross.write(cross.cell(first, second), &mut out[columns]);
        }
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

/// The line, the cells and the grid of a number.
fn number(column: &[f64], form: Form, bins: usize, twins: &mut Twins) -> (Option<Line>, Cells, Vec<f64>) {
    let mut present: Vec<f64> = column.iter().copied().filter(|value| !value.is_nan()).collect();
    present.sort_by(f64::total_cmp);
    let absent = column.len() - present.len();
    let missing = (absent > 0
        && !present.is_empty()
        && !twins.is_known(column.iter().map(|value| u64::from(value.is_nan()))))
    .then_some(absent as f64 / column.len() as f64);
    let (Some(low), Some(high)) = (present.first().copied(), present.last().copied()) else {
        return (None, Cells::Bins { edges: Vec::new(), missing }, Vec::new());
    };
    let line = line(&present, low, high, form);
    let mut steps = if form == Form::Steps && line.is_some() { edges(&present, bins) } else { Vec::new() };
    if steps.len() == 1 {
        // The line says the same.
        steps.clear();
    }
    let mut grid: Vec<f64> = (0..GRID).map(|n| present[n * (present.len() - 1) / (GRID - 1)]).collect();
    grid.dedup();
    (line, Cells::Bins { edges: steps, missing }, grid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::design::Design;

    fn measures(n: usize) -> Vec<Measure> {
        (0..n).map(|n| Measure::Count { kind: format!("k{n}"), days: None }).collect()
    }

    fn fit(measures: &[Measure], raw: &[f64], form: Form) -> Encoder {
        let rows: Vec<usize> = (0..raw.len() / measures.len()).collect();
        Encoder::fit(Sample { measures, raw, rows: &rows, rarer: rows.len() / 2 }, form, None)
    }

    #[test]
    fn columns_are_centred_and_what_never_varies_or_repeats_is_left_out() {
        // Columns: plain, constant, twin of the first, with a gap, always missing.
        let raw: Vec<f64> = [1.0, 2.0, 3.0, 4.0]
            .into_iter()
            .zip([f64::NAN, 5.0, 6.0, 5.0])
            .flat_map(|(x, gap)| [x, 7.0, x, gap, f64::NAN])
            .collect();
        let encoder = fit(&measures(5), &raw, Form::Log);
        let places: Vec<usize> = encoder.features.iter().map(|feature| feature.place).collect();
        assert_eq!(places, [0, 3]);
        assert_eq!(encoder.features[1].column_names(), ["value", "missing"]);
        let design = Design::new(&encoder, &raw, 5, &[0, 1, 2, 3]);
        let matrix = design.to_matrix();
        for mean in matrix.mean_axis(ndarray::Axis(0)).unwrap() {
            assert!(mean.abs() < 1e-12, "{mean}");
        }
        assert_eq!(matrix[(0, 1)], 0.0, "a missing number is the mean");
        assert_eq!(matrix[(0, 2)], 0.75, "and its indicator says so");
    }

    #[test]
    fn every_form_centres_its_columns_and_design_and_scoring_agree() {
        let levels = ["north", "south", "west"].map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let all = [measures(3), vec![region]].concat();
        let rows = 400;
        let raw: Vec<f64> = (0..rows)
            .flat_map(|n| {
                let n = f64::from(n);
                let gap = if n % 7.0 == 0.0 { f64::NAN } else { (n * 0.37).sin() };
                [n, (n * 1.7).cos().exp() * 100.0, gap, (n * n) % 3.0]
            })
            .collect();
        let chosen: Vec<usize> = (0..rows as usize).collect();
        for form in [Form::Plain, Form::Log, Form::Spline, Form::Steps] {
            let sample = Sample { measures: &all, raw: &raw, rows: &chosen, rarer: 200 };
            let encoder = Encoder::fit(sample, form, None).with_crosses(sample, &[[0, 3], [1, 2]]);
            assert_eq!(encoder.crosses.len(), 2);
            assert_eq!(encoder.column_names().len(), encoder.width());
            let design = Design::new(&encoder, &raw, 4, &chosen);
            let matrix = design.to_matrix();
            let mut out = vec![0.0; encoder.width()];
            for row in [0, 1, 14, 399] {
                encoder.encode(&raw[row * 4..row * 4 + 4], &mut out);
                assert_eq!(matrix.row(row).to_vec(), out, "{form}");
                let mut added = ndarray::Array1::zeros(encoder.width());
                design.add_row(row, 2.0, added.view_mut());
                assert_eq!(added / 2.0, matrix.row(row));
            }
            for mean in matrix.mean_axis(ndarray::Axis(0)).unwrap() {
                assert!(mean.abs() < 1e-10, "{form}: {mean}");
            }
            // The products that skip the matrix are the matrix's.
            let v: ndarray::Array1<f64> = (0..rows).map(|n| f64::from(n % 5) * 0.1).collect();
            let near = |a: ndarray::ArrayView1<'_, f64>, b: ndarray::ArrayView1<'_, f64>| {
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9)
            };
            assert!(near(design.transposed_dot(&v).view(), matrix.t().dot(&v).view()));
            let w: ndarray::Array1<f64> = (0..encoder.width()).map(|n| (n as f64).sin()).collect();
            assert!(near(design.dot(w.view()).view(), matrix.dot(&w).view()));
            let (log_odds, sum, slopes) = design.slopes(0.5, w.view(), |row, z| (z, v[row] * z));
            assert!(near(log_odds.view(), (matrix.dot(&w) + 0.5).view()));
            assert!((sum - log_odds.sum()).abs() < 1e-9);
            let products = &log_odds * &v;
            assert!(near(slopes.slice(ndarray::s![1..]), matrix.t().dot(&products).view()));
            assert!((slopes[0] - products.sum()).abs() < 1e-9);
            let some = [399, 3, 3, 17];
            assert_eq!(design.select(&some).to_matrix(), matrix.select(ndarray::Axis(0), &some));
            let ones = ndarray::Array2::ones((rows as usize, 1));
            let with_one = ndarray::concatenate![ndarray::Axis(1), ones, matrix];
            let gram = with_one.t().dot(&(&with_one * &v.view().insert_axis(ndarray::Axis(1))));
            for (a, b) in design.gram(&v).rows().into_iter().zip(gram.rows()) {
                assert!(near(a, b), "{form}");
            }
        }
    }

    #[test]
    fn extremes_are_cut_to_the_range_of_training() {
        let encoder = fit(&measures(1), &[0.0, 1.0, 2.0, 3.0], Form::Log);
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
        assert_eq!(fit(&measures(1), &raw, Form::Plain).features[0].column_names(), ["value"]);
        let encoder = fit(&measures(1), &raw, Form::Log);
        assert_eq!(encoder.features[0].column_names(), ["log"]);
        let mut out = [1.0];
        encoder.encode(&[encoder.features[0].typical()], &mut out);
        assert!(out[0].abs() < 1e-12, "the typical value contributes nothing");
    }

    #[test]
    fn a_level_unseen_in_training_is_no_level() {
        let levels = ["north", "south"].map(str::to_owned).to_vec();
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let encoder = fit(&[region], &[0.0, 1.0, 1.0, f64::NAN], Form::Log);
        assert_eq!(encoder.features[0].column_names(), ["missing", "= north", "= south"]);
        assert_eq!(encoder.features[0].typical(), 1.0);
        let mut out = [0.0; 3];
        encoder.encode(&[2.0], &mut out);
        assert_eq!(out, [-0.25, -0.25, -0.5]);
    }
}
