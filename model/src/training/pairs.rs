//! The importance of features, and the search for pairs of them that interact.

use ndarray::Array1;

use crate::{
    encode::{Cells, Encoder, Sample, coarse},
    training::fit::Fit,
};

/// The most rows for measuring importance.
const ROWS: usize = 5_000;
/// The number of features whose pairs are searched, the most important ones.
const SEARCHED: usize = 24;

/// The raw indices of the encoder's features in falling order of importance: the variance of their
/// contributions to the log-odds over the training rows, equal ones by index.
#[must_use]
pub fn by_importance(encoder: &Encoder, fit: &Fit, sample: Sample<'_>) -> Vec<usize> {
    let step = sample.rows.len().div_ceil(ROWS).max(1);
    let width = sample.measures.len();
    let mut importance: Vec<(f64, usize)> = encoder
        .columns()
        .map(|(feature, columns)| {
            let weights = fit.weights.slice(ndarray::s![columns.clone()]);
            let mut out = vec![0.0; columns.len()];
            let (mut sum, mut squares, mut n) = (0.0, 0.0, 0.0);
            for row in sample.rows.iter().step_by(step) {
                feature.write(sample.raw[row * width + feature.place], &mut out);
                let contribution: f64 = out.iter().zip(weights).map(|(x, w)| x * w).sum();
                (sum, squares, n) = (sum + contribution, squares + contribution * contribution, n + 1.0);
            }
            (squares / n - (sum / n) * (sum / n), feature.place)
        })
        .collect();
    importance.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    importance.into_iter().map(|(_, place)| place).collect()
}

/// A regression whose residuals are searched for pairs.
pub struct PairSearch<'a> {
    /// The encoder of the regression.
    pub encoder: &'a Encoder,
    /// The regression.
    pub fit: &'a Fit,
    /// The rows that it was fitted to.
    pub sample: Sample<'a>,
    /// Per row, the log-odds by the regression.
    pub log_odds: &'a Array1<f64>,
    /// Per row, the label.
    pub labels: &'a [bool],
}

/// Residual and variance, of one row or summed over rows.
type NewtonSums = (f64, f64);

/// A feature in coarse cells.
struct CoarseFeature {
    cells: Cells,
    /// Per row.
    cell: Vec<usize>,
}

impl PairSearch<'_> {
    /// The `most` pairs of features, by raw index, that would add most to the likelihood.
    ///
    /// As in FAST (Lou, Caruana, Gehrke and Hooker 2013): the value of a pair is the gain of its best pair of
    /// cuts, which divides the rows into four quadrants. That needs only sums over coarse cells, one pass
    /// over the rows for each pair. The gain of a quadrant is that of a Newton step on a constant of its own,
    /// (Σ residual)² / (Σ p(1−p) + λ), given the regression.
    #[must_use]
    pub fn strongest(&self, most: usize) -> Vec<[usize; 2]> {
        let places: Vec<usize> =
            by_importance(self.encoder, self.fit, self.sample).into_iter().take(SEARCHED).collect();
        let features: Vec<CoarseFeature> = places.iter().map(|place| self.coarse(*place)).collect();
        let rows = self.rows();
        let mut gains = Vec::new();
        for (i, first) in features.iter().enumerate() {
            for (j, second) in features.iter().enumerate().take(i) {
                let gain = gain(first, second, &rows, self.fit.penalty);
                gains.push((gain, [places[i].min(places[j]), places[i].max(places[j])]));
            }
        }
        gains.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
        gains.into_iter().filter(|(gain, _)| *gain > 0.0).take(most).map(|(_, pair)| pair).collect()
    }

    fn coarse(&self, place: usize) -> CoarseFeature {
        let Sample { measures, raw, rows, .. } = self.sample;
        let column: Vec<f64> = rows.iter().map(|row| raw[row * measures.len() + place]).collect();
        let cells = coarse(&measures[place], &column);
        let cell = column.iter().map(|value| cells.cell(*value)).collect();
        CoarseFeature { cells, cell }
    }

    fn rows(&self) -> Vec<NewtonSums> {
        let row = |(z, y): (&f64, &bool)| {
            let p = 1.0 / (1.0 + (-z).exp());
            (f64::from(u8::from(*y)) - p, p * (1.0 - p))
        };
        self.log_odds.iter().zip(self.labels).map(row).collect()
    }
}

/// The gain of the best pair of cuts.
fn gain(first: &CoarseFeature, second: &CoarseFeature, rows: &[NewtonSums], penalty: f64) -> f64 {
    let (count, other) = (first.cells.count(), second.cells.count());
    let mut sums = vec![(0.0, 0.0); count * other];
    for ((a, b), (residual, variance)) in first.cell.iter().zip(&second.cell).zip(rows) {
        let sum = &mut sums[a * other + b];
        *sum = (sum.0 + residual, sum.1 + variance);
    }
    let (first_cuts, second_cuts) = (cuts(&first.cells), cuts(&second.cells));
    let mut best = 0.0_f64;
    for of_first in &first_cuts {
        for of_second in &second_cuts {
            let mut quadrants = [(0.0, 0.0); 4];
            for (cell, (residual, variance)) in sums.iter().enumerate() {
                let quadrant = &mut quadrants
                    [2 * usize::from(of_first[cell / other]) + usize::from(of_second[cell % other])];
                *quadrant = (quadrant.0 + residual, quadrant.1 + variance);
            }
            best = best.max(quadrants.iter().map(|(g, h)| g * g / (h + penalty.max(1.0))).sum());
        }
    }
    best
}

/// The ways to divide the cells in two: above each edge, or each level against the others.
fn cuts(cells: &Cells) -> Vec<Vec<bool>> {
    let count = cells.count();
    match cells {
        Cells::Bins { edges, .. } => {
            let bins = edges.len();
            (0..bins).map(|cut| (0..count).map(|cell| cell > cut && cell <= bins).collect()).collect()
        }
        Cells::Levels { levels } => {
            (0..levels.len()).map(|level| (0..count).map(|cell| cell == level).collect()).collect()
        }
    }
}
