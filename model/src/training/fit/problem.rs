//! The penalised loss, and Newton's method on it.

use ndarray::{Array1, Array2, ArrayView1, s};

use super::{Fit, FitError, folds::HeldOut};
use crate::{linear::Cholesky, training::design::Design};

/// The greatest gradient per row of the fit to a sample, from which that to all rows starts: the optimum of a sample is
/// farther away by chance.
const SKETCH: f64 = 1e-4;
/// The sample has one of this many rows.
const SAMPLED: usize = 16;
/// The number of rows from which on a sample comes first.
const MANY: usize = 50_000;
/// The most Newton steps before linfa takes over; being convex, the problem takes far fewer.
const NEWTON_STEPS: usize = 50;
/// Second derivatives are reused as long as a step with them leaves at most this share of the gradient.
const REUSABLE: f64 = 0.2;

/// The penalised loss; parameters are the intercept, then the weights.
#[derive(Clone, Copy)]
pub(super) struct Problem<'a> {
    pub(super) x: &'a Design,
    pub(super) y: &'a [bool],
    pub(super) penalty: f64,
    pub(super) held_out: Option<HeldOut<'a>>,
}

/// The penalised loss at some parameters.
pub(super) struct Point {
    pub(super) parameters: Array1<f64>,
    pub(super) log_odds: Array1<f64>,
    pub(super) loss: f64,
    pub(super) gradient: Array1<f64>,
}

/// Second derivatives, factored.
pub(super) struct Curvature {
    pub(super) cholesky: Cholesky,
    /// The share of all rows that they are summed over.
    pub(super) share: f64,
}

impl Point {
    /// The length of the gradient, as linfa measures it.
    pub(super) fn slope(&self) -> f64 {
        self.gradient.dot(&self.gradient).sqrt()
    }

    /// Whether it is nearer to the optimum. Close to the optimum the loss is the same to the last digits, and the
    /// gradient decides.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        let same = (self.loss - other.loss).abs() <= 1e-12 * other.loss.abs();
        if same { self.slope() < other.slope() } else { self.loss < other.loss }
    }
}

impl Problem<'_> {
    pub(super) fn is_held_out(&self, row: usize) -> bool {
        self.held_out.is_some_and(|held_out| held_out.folds.of_row[row] == held_out.fold)
    }

    /// One pass over the rows.
    pub(super) fn at(&self, parameters: Array1<f64>) -> Point {
        let weights = weights(&parameters);
        let (log_odds, mut loss, mut gradient) = self.x.slopes(parameters[0], weights, |row, log_odds| {
            if self.is_held_out(row) {
                return (0.0, 0.0);
            }
            let small = (-log_odds.abs()).exp();
            let outcome = f64::from(u8::from(self.y[row]));
            let loss = small.ln_1p() + log_odds.max(0.0) - outcome * log_odds;
            let probability = if log_odds < 0.0 { small } else { 1.0 } / (1.0 + small);
            (loss, probability - outcome)
        });
        loss += 0.5 * self.penalty * weights.dot(&weights);
        gradient.slice_mut(s![1..]).scaled_add(self.penalty, &weights);
        Point { log_odds, loss, gradient, parameters }
    }

    pub(super) fn probabilities(&self, parameters: &Array1<f64>) -> Array1<f64> {
        let log_odds = self.x.dot(weights(parameters)) + parameters[0];
        log_odds.mapv_into(|z| 1.0 / (1.0 + (-z).exp()))
    }

    /// The parameters that predict the base rate for every row. A sample may have one label only: half a row is added to
    /// each.
    pub(super) fn base_rate(&self) -> Array1<f64> {
        let positives = self.y.iter().filter(|outcome| **outcome).count() as f64;
        let mut parameters = Array1::zeros(self.x.width() + 1);
        parameters[0] = ((positives + 0.5) / (self.y.len() as f64 - positives + 0.5)).ln();
        parameters
    }

    /// Per row the probability minus the label.
    pub(super) fn residuals(&self, probabilities: &Array1<f64>) -> Array1<f64> {
        probabilities.iter().zip(self.y).map(|(p, y)| p - f64::from(u8::from(*y))).collect()
    }

    /// The second derivatives of the loss for these log-odds of the rows. None when they are singular.
    pub(super) fn curvature(&self, log_odds: &Array1<f64>) -> Option<Cholesky> {
        let of_rows = log_odds.mapv(variance);
        Cholesky::new(&plus_ridge(self.x.gram(&of_rows), self.penalty))
    }

    /// The fit, when the gradient per row is within `tolerance`.
    pub(super) fn checked(&self, parameters: Array1<f64>, tolerance: f64) -> Result<Fit, FitError> {
        let point = self.at(parameters);
        let gradient = point.slope() / self.y.len() as f64;
        if gradient <= tolerance {
            Ok(self.fit(&point.parameters))
        } else {
            Err(FitError::NotConverged { gradient })
        }
    }

    pub(super) fn fit(&self, parameters: &Array1<f64>) -> Fit {
        Fit { intercept: parameters[0], weights: weights(parameters).to_owned(), penalty: self.penalty }
    }

    /// Takes damped Newton steps from `start`, or from the base rate, until the gradient per row is within `tolerance` or no
    /// step gets nearer.
    pub(super) fn newton(&self, start: Option<&Fit>, tolerance: f64) -> Array1<f64> {
        let (mut point, mut curvature) = self.start(start);
        for _ in 0..NEWTON_STEPS {
            if point.slope() <= tolerance * self.y.len() as f64 {
                break;
            }
            let reused = curvature.take();
            let is_own = reused.is_none();
            let Some(Curvature { cholesky, share }) = reused.or_else(|| self.own_curvature(&point)) else {
                break;
            };
            let step = cholesky.solve(&point.gradient) * share;
            // Second derivatives from elsewhere get one attempt.
            let lengths = (0..if is_own { 30 } else { 1 }).map(|halving| 0.5_f64.powi(halving));
            let better = lengths
                .map(|length| self.at(&point.parameters - &(&step * length)))
                .find(|next| next.is_better_than(&point));
            match better {
                Some(next) => {
                    if next.slope() <= REUSABLE * point.slope() {
                        curvature = Some(Curvature { cholesky, share });
                    }
                    point = next;
                }
                None if is_own => break,
                None => {}
            }
        }
        point.parameters
    }

    /// Where the Newton steps start, and with which second derivatives: those of a sample when there are many rows.
    pub(super) fn start(&self, start: Option<&Fit>) -> (Point, Option<Curvature>) {
        let rows = self.y.len();
        let sample = (rows >= MANY).then(|| self.sample());
        let sample = sample.as_ref().map(|(x, y)| {
            let penalty = self.penalty * y.len() as f64 / rows as f64;
            Problem { x, y, penalty, held_out: None }
        });
        let parameters = match (start, &sample) {
            (Some(fit), _) => fit.parameters(),
            (None, Some(sample)) => sample.newton(None, SKETCH),
            (None, None) => self.base_rate(),
        };
        let point = self.at(parameters);
        let curvature = sample.and_then(|sample| {
            let log_odds = sample.x.dot(weights(&point.parameters)) + point.parameters[0];
            let share = sample.y.len() as f64 / rows as f64;
            Some(Curvature { cholesky: sample.curvature(&log_odds)?, share })
        });
        (point, curvature)
    }

    pub(super) fn own_curvature(&self, point: &Point) -> Option<Curvature> {
        Some(Curvature { cholesky: self.curvature(&point.log_odds)?, share: 1.0 })
    }

    /// One row of each group of [`SAMPLED`], at a varying place: rows are in the order of customers and times.
    pub(super) fn sample(&self) -> (Design, Vec<bool>) {
        let rows: Vec<usize> = (0..self.y.len() / SAMPLED)
            .map(|n| n * SAMPLED + n.wrapping_mul(0x9E37_79B9) % SAMPLED)
            .collect();
        (self.x.select(&rows), rows.iter().map(|row| self.y[*row]).collect())
    }
}

/// p·(1 − p) at the log-odds.
pub(super) fn variance(log_odds: f64) -> f64 {
    let small = (-log_odds.abs()).exp();
    small / (1.0 + small).powi(2)
}

/// Adds to the diagonal, except for the intercept.
pub(super) fn plus_ridge(mut matrix: Array2<f64>, ridge: f64) -> Array2<f64> {
    matrix.diag_mut().slice_mut(s![1..]).map_inplace(|value| *value += ridge);
    matrix
}

pub(super) fn weights(parameters: &Array1<f64>) -> ArrayView1<'_, f64> {
    parameters.slice(s![1..])
}
