//! Fitting: linfa's logistic regression with an L2 penalty, started near its optimum.
//!
//! linfa reports success whatever happened, so the gradient is checked here. Newton steps come first
//! and leave little to do. Their cost is in the second derivatives: those of a sample are used as long as
//! they converge fast, so that a fit of many rows is a few passes over them.

mod folds;
mod problem;
mod uncertainty;

use std::cmp::Ordering;

use linfa::{dataset::DatasetBase, traits::Fit as _};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, ArrayView2, s};

use self::problem::Problem;
use crate::training::design::Design;

pub use folds::{CrossValidation, FoldFits, Folds};
pub use uncertainty::{StackMember, stack_uncertainty};

/// The greatest length of the gradient of the summed loss, per row.
const TOLERANCE: f64 = 1e-8;
/// The same when fits are only compared with each other.
const ROUGH: f64 = 1e-6;
/// linfa needs the whole matrix: above this many numbers (256 MiB, for each of two fits at a time) the result is that of
/// the Newton steps, with the same bound on the gradient.
const MATRIX: usize = 1 << 25;
/// A fitted regression: log-odds = intercept + weights · row.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The log-odds of a row of zeros.
    pub intercept: f64,
    /// One weight a column.
    pub weights: Array1<f64>,
    /// λ of the penalty ½·λ·‖weights‖² on the summed loss; the intercept has none.
    pub penalty: f64,
}

/// Why there is no fit.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// linfa refused the data.
    #[error("the regression could not be fitted: {0}")]
    Refused(#[from] linfa_logistic::error::Error),
    /// The optimum was not reached.
    #[error(
        "the regression did not converge: the gradient is {gradient:.3e} a row, allowed is {TOLERANCE:.0e}"
    )]
    NotConverged {
        /// The length of the gradient, divided by the number of rows.
        gradient: f64,
    },
    /// The covariance of the weights has no inverse.
    #[error(
        "the intervals cannot be estimated: the outcomes of each customer cancel out, as when all customers do the \
         same at the same times"
    )]
    NoUncertainty,
}

impl Fit {
    /// Fits to the rows of `x` with labels `y`, both labels present.
    ///
    /// # Errors
    /// [`FitError`] when the optimum is not reached.
    pub fn new(x: &Design, y: &[bool], penalty: f64, start: Option<&Self>) -> Result<Self, FitError> {
        let problem = Problem { x, y, penalty, held_out: None };
        let mut parameters = problem.newton(start, 0.1 * TOLERANCE);
        if x.rows() * x.width() <= MATRIX {
            parameters = linfa(x.to_matrix().view(), y, penalty, parameters)?;
        }
        // linfa's line search may stop short of the tolerance, at the precision of the loss itself.
        problem.checked(parameters, 100.0 * TOLERANCE)
    }

    /// Fits well enough to compare penalties and encodings.
    ///
    /// # Errors
    /// [`FitError`] when the neighbourhood of the optimum is not reached.
    pub fn rough(x: &Design, y: &[bool], penalty: f64, start: Option<&Self>) -> Result<Self, FitError> {
        let problem = Problem { x, y, penalty, held_out: None };
        problem.checked(problem.newton(start, ROUGH), 100.0 * ROUGH)
    }

    /// The log-odds of each row.
    #[must_use]
    pub fn log_odds(&self, x: &Design) -> Array1<f64> {
        x.dot(self.weights.view()) + self.intercept
    }

    /// The same fit with more columns, whose weights are 0.
    #[must_use]
    pub fn widened(&self, width: usize) -> Self {
        let mut weights = Array1::zeros(width);
        weights.slice_mut(s![..self.weights.len()]).assign(&self.weights);
        Self { weights, ..*self }
    }

    /// Intercept, then weights.
    fn parameters(&self) -> Array1<f64> {
        let mut parameters = Array1::zeros(self.weights.len() + 1);
        parameters[0] = self.intercept;
        parameters.slice_mut(s![1..]).assign(&self.weights);
        parameters
    }
}

/// linfa's fit, from `start` (intercept first, as is what it returns).
fn linfa(
    x: ArrayView2<'_, f64>,
    y: &[bool],
    penalty: f64,
    start: Array1<f64>,
) -> Result<Array1<f64>, FitError> {
    // linfa has the intercept last.
    let mut initial = start * linfa_sign(y);
    if let Some(parameters) = initial.as_slice_mut() {
        parameters.rotate_left(1);
    }
    let data = DatasetBase::new(x, Array1::from_vec(y.to_vec()));
    let fitted = LogisticRegression::default()
        .alpha(penalty)
        .max_iterations(1_000)
        .gradient_tolerance(TOLERANCE * y.len() as f64)
        .initial_params(initial)
        .fit(&data)?;
    let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
    let mut parameters = Array1::zeros(x.ncols() + 1);
    parameters[0] = fitted.intercept() * sign;
    parameters.slice_mut(s![1..]).assign(&(fitted.params() * sign));
    Ok(parameters)
}

/// linfa calls the more frequent class positive, on a tie the first one it sees: −1 when that is `false`.
fn linfa_sign(y: &[bool]) -> f64 {
    let positives = y.iter().filter(|outcome| **outcome).count();
    let is_first = y.first() == Some(&true);
    match (2 * positives).cmp(&y.len()) {
        Ordering::Greater => 1.0,
        Ordering::Equal if is_first => 1.0,
        _ => -1.0,
    }
}
