//! Fitting an encoder to training rows.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use super::{
    Cells, Cross, Encoder, Feature, Form, Line,
    cells::{coarse, edges, levels},
    line::{line, quartiles},
};
use crate::features::Measure;

/// The bins of a number in [`Form::Steps`], fewest and most, and about how many there are over all
/// features that vary and differ.
const BINS: (usize, usize) = (8, 128);
const BINS_OVER_ALL: usize = 1_000;
/// The rows of the rarer label that a bin should have. They are few, since neighbours share strength
/// through the penalty.
const RARER_ROWS_PER_BIN: usize = 5;
/// The most ages of leads at which there are snapshots.
const MOST_AGES: usize = 22;
/// The scale of the columns of the age. It is hardly penalised: how the outcome depends on the age is strong and known
/// from many rows, and must not make the penalty of the other features weaker.
const AGE_SCALE: f64 = 10.0;
/// The most values at which the effect curve of a number is drawn.
const GRID: usize = 21;

/// The training rows that an encoder is fitted to: a flat matrix of raw features, and a choice of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// The measures of the columns.
    pub measures: &'a [Measure],
    /// `measures.len()` values a row.
    pub raw: &'a [f64],
    /// The rows to fit to.
    pub rows: &'a [usize],
    /// One of these rows for each customer, by which knots and edges are placed.
    pub customers: &'a [usize],
    /// How many of these rows have the rarer label.
    pub rarer: usize,
}

impl Sample<'_> {
    fn column(&self, place: usize) -> Vec<f64> {
        self.values(self.rows, place).collect()
    }

    fn values<'b>(&'b self, rows: &'b [usize], place: usize) -> impl Iterator<Item = f64> + 'b {
        rows.iter().map(move |row| self.raw[row * self.measures.len() + place])
    }

    /// Those of the features that equal no earlier one, and how many of them are numbers that vary.
    fn distinct(&self, places: &[usize]) -> (Vec<usize>, usize) {
        let mut seen = SeenColumns::default();
        let is_new = |place: &&usize| !seen.contains(self.values(self.rows, **place).map(f64::to_bits));
        let distinct: Vec<usize> = places.iter().filter(is_new).copied().collect();
        let varies = |place: &&usize| {
            let mut present = self.values(self.rows, **place).filter(|value| !value.is_nan());
            let first = present.next();
            !self.measures[**place].is_category() && present.any(|value| Some(value) != first)
        };
        let numbers = distinct.iter().filter(varies).count();
        (distinct, numbers)
    }
}

impl Encoder {
    /// Fits the encoder to `sample`, with those of the features at these indices that vary.
    #[must_use]
    pub fn fit(sample: Sample<'_>, form: Form, keep: &[usize]) -> Self {
        let mut places = keep.to_vec();
        places.sort_unstable();
        // Of equal columns the age of a lead is taken.
        places.sort_by_key(|place| sample.measures[*place] != Measure::TenureDays);
        let (places, numbers) = sample.distinct(&places);
        let most = (BINS_OVER_ALL / numbers.max(1)).min(sample.rarer / RARER_ROWS_PER_BIN);
        let bins = most.clamp(BINS.0, BINS.1);
        let mut seen_gaps = SeenColumns::default();
        let mut features = Vec::new();
        for place in places {
            let measure = &sample.measures[place];
            let column = sample.column(place);
            let (line, cells, grid) = if measure.is_category() {
                (None, levels(&column), Vec::new())
            } else {
                let of_customers = rising(sample.values(sample.customers, place));
                let (line, cells, grid) =
                    number((measure, &column), &of_customers, (form, bins), &mut seen_gaps);
                let follows = matches!(measure, Measure::Attribute { .. });
                (if follows { line.map(Line::extended) } else { line }, cells, grid)
            };
            let feature = Feature { measure: measure.clone(), place, line, cells, grid };
            if feature.width() > 0 {
                features.push(feature);
            }
        }
        features.sort_by_key(|feature| feature.place);
        Self { form, features, crosses: Vec::new() }
    }

    /// Adds crosses of these pairs of features, given by their indices in the raw row. Their penalty is `ratio` times
    /// that of the other columns, since their columns are divided by √ratio.
    #[must_use]
    pub fn with_crosses(mut self, sample: Sample<'_>, pairs: &[[usize; 2]], ratio: f64) -> Self {
        let scale = 1.0 / ratio.sqrt();
        let crosses: Vec<Cross> =
            pairs.iter().filter_map(|places| Some(Cross { scale, ..self.cross(sample, *places)? })).collect();
        self.crosses.extend(crosses);
        self
    }

    /// The cross of two features, not scaled; None when the encoder lacks one of them or the cross has no columns.
    fn cross(&self, sample: Sample<'_>, places: [usize; 2]) -> Option<Cross> {
        let index = |place: usize| self.features.iter().position(|feature| feature.place == place);
        let features = [index(places[0])?, index(places[1])?];
        let columns = places.map(|place| sample.column(place));
        let cells = [0, 1].map(|n| coarse(&self.features[features[n]].measure, &columns[n]));
        let mut cross = Cross { features, cells, means: Vec::new(), scale: 1.0 };
        let width = cross.width();
        if width == 0 {
            return None;
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
        Some(cross)
    }
}

/// The digests of some columns so far. A digest has 64 bits: that two different columns have the same, which
/// would cost a feature, happens once in 10^19 pairs.
#[derive(Default)]
struct SeenColumns(HashSet<u64>);

impl SeenColumns {
    /// Whether an equal column was seen before; adds the column.
    fn contains(&mut self, column: impl Iterator<Item = u64>) -> bool {
        let mut hasher = DefaultHasher::new();
        column.for_each(|bits| bits.hash(&mut hasher));
        !self.0.insert(hasher.finish())
    }
}

/// The values that are not missing, rising.
fn rising(column: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut present: Vec<f64> = column.filter(|value| !value.is_nan()).collect();
    present.sort_by(f64::total_cmp);
    present
}

/// The line, the cells and the grid of a number. Knots and edges are quantiles over the customers, or over all rows
/// when it does not vary among the customers.
fn number(
    (measure, column): (&Measure, &[f64]),
    of_customers: &[f64],
    (form, bins): (Form, usize),
    seen: &mut SeenColumns,
) -> (Option<Line>, Cells, Vec<f64>) {
    let present = rising(column.iter().copied());
    let absent = column.len() - present.len();
    let missing = (absent > 0
        && !present.is_empty()
        && !seen.contains(column.iter().map(|value| u64::from(value.is_nan()))))
    .then_some(absent as f64 / column.len() as f64);
    let without_line = Cells::Bins { edges: Vec::new(), missing };
    if present.is_empty() {
        return (None, without_line, Vec::new());
    }
    let mut grid: Vec<f64> = (0..GRID).map(|n| present[n * (present.len() - 1) / (GRID - 1)]).collect();
    grid.dedup();
    let Some(line) = line(&present, form) else { return (None, without_line, grid) };
    if let Some(ages) = ages(measure, &present) {
        let line = Line { scale: AGE_SCALE, ..line.with_hinges(&ages, &present) };
        return (Some(line), without_line, grid);
    }
    let varies = of_customers.first() < of_customers.last();
    let spread = if varies { of_customers } else { present.as_slice() };
    match form {
        Form::Plain | Form::Log => (Some(line), without_line, grid),
        Form::Spline => (Some(line.with_hinges(&quartiles(spread), &present)), without_line, grid),
        Form::Steps => {
            let edges = edges(&present, spread, bins);
            // A single step adds nothing to the line.
            let edges = if edges.len() == 1 { Vec::new() } else { edges };
            (Some(line), Cells::Bins { edges, missing }, grid)
        }
    }
}

/// The ages of the snapshots of leads, rising, when this is the age of leads.
fn ages(measure: &Measure, present: &[f64]) -> Option<Vec<f64>> {
    let mut ages = present.to_vec();
    ages.dedup();
    (*measure == Measure::TenureDays && ages.len() <= MOST_AGES).then_some(ages)
}
