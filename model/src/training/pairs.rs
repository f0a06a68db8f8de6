//! Which features matter, and which pairs of them say more together than apart.

use ndarray::Array1;

use crate::{
    encode::{Cells, Encoder, Sample, coarse},
    training::fit::Fit,
};

/// Rows that importance is measured on, at most.
const ROWS: usize = 5_000;
/// Features whose pairs are searched: the most important ones.
const SEARCHED: usize = 24;

/// The places of the encoder's features, the one first whose contributions to the log-odds vary most
/// over the training rows (standard deviation; equal ones by place).
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

/// The `most` pairs of places that would add most to the likelihood.
///
/// As in FAST (Lou, Caruana, Gehrke and Hooker 2013): a pair is worth what its best pair of cuts
/// gains, which parts the rows into four quadrants; only sums over coarse cells are needed, one pass
/// over the rows a pair. The gain of a quadrant is that of a Newton step on its own constant,
/// (Σ residual)² / (Σ p(1−p) + λ), given what `fit` says already.
#[must_use]
pub fn strongest(
    encoder: &Encoder,
    fit: &Fit,
    sample: Sample<'_>,
    log_odds: &Array1<f64>,
    labels: &[bool],
    most: usize,
) -> Vec<[usize; 2]> {
    let places: Vec<usize> = by_importance(encoder, fit, sample).into_iter().take(SEARCHED).collect();
    let width = sample.measures.len();
    let column =
        |place: usize| sample.rows.iter().map(|row| sample.raw[row * width + place]).collect::<Vec<_>>();
    let features: Vec<(Cells, Vec<usize>)> = places
        .iter()
        .map(|place| {
            let column = column(*place);
            let cells = coarse(&sample.measures[*place], &column);
            let fallen = column.iter().map(|value| cells.cell(*value)).collect();
            (cells, fallen)
        })
        .collect();
    let rows: Vec<(f64, f64)> = log_odds
        .iter()
        .zip(labels)
        .map(|(z, y)| {
            let p = 1.0 / (1.0 + (-z).exp());
            (f64::from(u8::from(*y)) - p, p * (1.0 - p))
        })
        .collect();
    let mut gains = Vec::new();
    for (i, first) in features.iter().enumerate() {
        for (j, second) in features.iter().enumerate().take(i) {
            let gain = gain(first, second, &rows, fit.penalty);
            gains.push((gain, [places[i].min(places[j]), places[i].max(places[j])]));
        }
    }
    gains.sort_by(|(a, x), (b, y)| b.total_cmp(a).then(x.cmp(y)));
    gains.into_iter().filter(|(gain, _)| *gain > 0.0).take(most).map(|(_, pair)| pair).collect()
}

/// The gain of the best pair of cuts.
fn gain(first: &(Cells, Vec<usize>), second: &(Cells, Vec<usize>), rows: &[(f64, f64)], penalty: f64) -> f64 {
    let (count, other) = (first.0.count(), second.0.count());
    let mut sums = vec![(0.0, 0.0); count * other];
    for ((a, b), (residual, spread)) in first.1.iter().zip(&second.1).zip(rows) {
        let sum = &mut sums[a * other + b];
        *sum = (sum.0 + residual, sum.1 + spread);
    }
    let (first_cuts, second_cuts) = (cuts(&first.0), cuts(&second.0));
    let mut best = 0.0_f64;
    for of_first in &first_cuts {
        for of_second in &second_cuts {
            let mut quadrants = [(0.0, 0.0); 4];
            for (cell, (residual, spread)) in sums.iter().enumerate() {
                let quadrant = &mut quadrants
                    [2 * usize::from(of_first[cell / other]) + usize::from(of_second[cell % other])];
                *quadrant = (quadrant.0 + residual, quadrant.1 + spread);
            }
            best = best.max(quadrants.iter().map(|(g, h)| g * g / (h + penalty.max(1.0))).sum());
        }
    }
    best
}

/// The ways to part the cells in two: above each edge, or each level against the others.
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
