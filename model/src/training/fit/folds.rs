//! The fits of a cross-validation.
//!
//! Only their losses are compared, so they need not be exact: the fits outside of all folds use the same second
//! derivatives, and each takes at most [`STEPS`] steps with them, each a pass over the rows. A fit that is not at its
//! optimum by then is one with a somewhat stronger penalty, since it comes from there.

use ndarray::{Array1, Axis, concatenate, s};

use super::{
    Fit,
    problem::{Point, Problem, plus_ridge, variance, weights},
};
use crate::{linear::Cholesky, parallel::par_map, training::design::Design};

/// The greatest length of the gradient of the summed loss, per row.
const COARSE: f64 = 1e-5;
/// The most steps of a fit.
const STEPS: usize = 12;

/// The folds of a cross-validation.
#[derive(Debug)]
pub struct Folds {
    /// The fold of each row, below `count`.
    pub of_row: Vec<usize>,
    /// The number of folds.
    pub count: usize,
}

impl Folds {
    /// The part of all rows that is outside of a fold.
    fn share_outside(&self) -> f64 {
        (self.count - 1) as f64 / self.count as f64
    }
}

/// A fold whose rows are not fitted to.
#[derive(Clone, Copy)]
pub(super) struct HeldOut<'a> {
    pub(super) folds: &'a Folds,
    pub(super) fold: usize,
}

/// Encoded rows with their labels and folds. Outside of each fold there are both labels.
#[derive(Clone, Copy)]
pub struct CrossValidation<'a> {
    /// The rows.
    pub x: &'a Design,
    /// Their labels.
    pub y: &'a [bool],
    /// Their folds.
    pub folds: &'a Folds,
}

/// The fits to the rows outside of each fold.
pub struct FoldFits {
    /// One for each fold.
    pub fits: Vec<Fit>,
    /// The log-odds of each row by the fit that has not seen it.
    pub log_odds: Array1<f64>,
    /// The second derivatives over all rows; None when they are singular.
    curvature: Option<Cholesky>,
}

impl CrossValidation<'_> {
    /// Fits to the rows outside of each fold, starting from fits with a stronger penalty if there are any.
    #[must_use]
    pub fn fit(&self, penalty: f64, starts: Option<&FoldFits>) -> FoldFits {
        let Self { x, folds, .. } = *self;
        let base_rate = || self.outside(0, penalty).base_rate();
        let start = |fold: usize| starts.map_or_else(base_rate, |fits| fits.fits[fold].parameters());
        let sum = (1..folds.count).fold(start(0), |sum, fold| sum + start(fold));
        let mean = sum / folds.count as f64;
        let variances = (x.dot(weights(&mean)) + mean[0]).mapv_into(variance);
        // A part has fewer rows and the same penalty, which is as if all rows had a greater one.
        let curvature = Cholesky::new(&plus_ridge(x.gram(&variances), penalty / folds.share_outside()));
        let points = par_map(0..folds.count, |fold| {
            let problem = self.outside(fold, penalty);
            let step = |gradient: &Array1<f64>| self.step(curvature.as_ref(), gradient);
            let point = step_with(&problem, start(fold), step);
            (problem.fit(&point.parameters), point.log_odds)
        });
        let log_odds = folds.of_row.iter().enumerate().map(|(row, fold)| points[*fold].1[row]).collect();
        FoldFits { fits: points.into_iter().map(|(fit, _)| fit).collect(), log_odds, curvature }
    }

    /// Fits to the rows outside of `fold` with the columns of crosses after those of this design, starting from `start`.
    /// Returns the fit, and the log-odds of all rows.
    ///
    /// The steps take the second derivatives within the old columns and within the new ones, and neglect those between
    /// the two. With two groups of columns such steps always converge.
    #[must_use]
    pub fn fit_crossed(
        &self,
        (base, fold): (&FoldFits, usize),
        crossed: &Design,
        penalty: f64,
        start: &Fit,
    ) -> (Fit, Array1<f64>) {
        let width = self.x.width();
        let problem = Problem { x: crossed, ..self.outside(fold, penalty) };
        let is_outside = |(fold_of_row, v)| if fold_of_row == fold { 0.0 } else { v };
        let log_odds = base.fits[fold].log_odds(self.x);
        let v = self.folds.of_row.iter().copied().zip(log_odds.iter().map(|z| variance(*z)));
        let gram = crossed.from_column(width).gram(&v.map(is_outside).collect());
        let curvature = Cholesky::new(&plus_ridge(gram, penalty).slice_move(s![1.., 1..]));
        let step = |gradient: &Array1<f64>| {
            let old = self.step(base.curvature.as_ref(), &gradient.slice(s![..=width]).to_owned())?;
            let new = curvature.as_ref()?.solve(&gradient.slice(s![width + 1..]).to_owned());
            concatenate(Axis(0), &[old.view(), new.view()]).ok()
        };
        let point = step_with(&problem, start.parameters(), step);
        (problem.fit(&point.parameters), point.log_odds)
    }

    fn outside(&self, fold: usize, penalty: f64) -> Problem<'_> {
        let held_out = Some(HeldOut { folds: self.folds, fold });
        Problem { x: self.x, y: self.y, penalty, held_out }
    }

    /// The Newton step for a gradient over the rows outside of a fold.
    fn step(&self, curvature: Option<&Cholesky>, gradient: &Array1<f64>) -> Option<Array1<f64>> {
        Some(curvature?.solve(gradient) / self.folds.share_outside())
    }
}

/// Takes at most [`STEPS`] steps from `start`, each that of `step` for the gradient, halved after each that leads
/// nowhere.
fn step_with(
    problem: &Problem<'_>,
    start: Array1<f64>,
    step: impl Fn(&Array1<f64>) -> Option<Array1<f64>>,
) -> Point {
    let mut point = problem.at(start);
    let mut length = 1.0;
    for _ in 0..STEPS {
        if point.slope() <= COARSE * problem.y.len() as f64 {
            break;
        }
        let Some(step) = step(&point.gradient) else { break };
        let next = problem.at(&point.parameters - &(step * length));
        if next.is_better_than(&point) {
            point = next;
        } else {
            length /= 2.0;
        }
    }
    point
}
