//! Fitting: linfa's logistic regression with an L2 penalty, started near its optimum, and the
//! choice of the penalty.
//!
//! linfa reports success whatever happened, so the gradient is checked here. A few Newton steps
//! come first: they need only the second derivatives that the intervals need anyway, and leave
//! little for the quasi-Newton method to do.

use linfa::{dataset::DatasetBase, traits::Fit as _};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView1, Axis, s};

use crate::{evaluate::log_loss_of_log_odds, linear::Cholesky};

/// Per row: how far the gradient of the summed loss may be from 0 in any coordinate.
const TOLERANCE: f64 = 1e-8;
/// Newton steps before linfa takes over; convex and damped, it converges in far fewer.
const NEWTON_STEPS: usize = 50;
/// The penalties that are tried, strongest first: each fit starts from the one before.
pub const PENALTIES: [f64; 11] = [10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1];

/// A fitted regression: log-odds = intercept + weights · row.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The log-odds of a row of zeros.
    pub intercept: f64,
    /// One weight a column.
    pub weights: Array1<f64>,
    /// λ of the penalty ½·λ·‖weights‖² on the summed loss; the intercept goes free.
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
        /// The greatest coordinate of the gradient, divided by the number of rows.
        gradient: f64,
    },
}

impl Fit {
    /// Fits to the rows of `x` (column-major is fastest) with outcomes `y`, both outcomes present.
    ///
    /// # Errors
    /// [`FitError`] when the optimum is not reached.
    pub fn new(x: &Array2<f64>, y: &[bool], penalty: f64, start: Option<&Self>) -> Result<Self, FitError> {
        let problem = Problem { x, y, penalty };
        let parameters = problem.newton(start);
        // linfa calls the commoner class positive, on a tie the first one seen.
        let positives = y.iter().filter(|outcome| **outcome).count();
        let sign = match (2 * positives).cmp(&y.len()) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Less => -1.0,
            std::cmp::Ordering::Equal => {
                if y.first() == Some(&true) {
                    1.0
                } else {
                    -1.0
                }
            }
        };
        let data = DatasetBase::new(x.view(), Array1::from_vec(y.to_vec()));
        let fitted = LogisticRegression::default()
            .alpha(penalty)
            .max_iterations(1_000)
            .gradient_tolerance(TOLERANCE * y.len() as f64)
            .initial_params(parameters * sign)
            .fit(&data)?;
        let sign = if fitted.labels().pos.class { 1.0 } else { -1.0 };
        let fit = Self { intercept: fitted.intercept() * sign, weights: fitted.params() * sign, penalty };
        let gradient = problem.gradient(&fit.parameters(), &problem.probabilities(&fit.parameters()));
        let gradient = greatest(&gradient) / y.len() as f64;
        // linfa's line search may stop short of the tolerance, at the precision of the loss itself.
        if gradient <= 100.0 * TOLERANCE { Ok(fit) } else { Err(FitError::NotConverged { gradient }) }
    }

    /// The log-odds of each row.
    #[must_use]
    pub fn log_odds(&self, x: &Array2<f64>) -> Array1<f64> {
        x.dot(&self.weights) + self.intercept
    }

    /// L⁻¹ of the second derivatives of the penalised loss, intercept first: the log-odds of a row
    /// x has the variance ‖L⁻¹·(1, x)‖² (delta method). None when they are singular.
    #[must_use]
    pub fn whitener(&self, x: &Array2<f64>, y: &[bool]) -> Option<Array2<f64>> {
        let problem = Problem { x, y, penalty: self.penalty };
        let parameters = self.parameters();
        let hessian = problem.hessian(&problem.probabilities(&parameters));
        // The intercept goes first, so that a scorer can begin with it.
        let n = hessian.nrows();
        let turned = |i: usize| (i + n - 1) % n;
        let turned = Array2::from_shape_fn((n, n), |(i, j)| hessian[(turned(i), turned(j))]);
        Cholesky::new(&turned).map(|cholesky| cholesky.inverse_factor())
    }

    /// Weights, then the intercept.
    fn parameters(&self) -> Array1<f64> {
        let mut parameters = Array1::zeros(self.weights.len() + 1);
        parameters.slice_mut(s![..-1]).assign(&self.weights);
        parameters[self.weights.len()] = self.intercept;
        parameters
    }
}

/// The penalised loss; parameters are the weights, then the intercept.
struct Problem<'a> {
    x: &'a Array2<f64>,
    y: &'a [bool],
    penalty: f64,
}

impl Problem<'_> {
    fn log_odds(&self, parameters: &Array1<f64>) -> Array1<f64> {
        let (weights, intercept) = split(parameters);
        self.x.dot(&weights) + intercept
    }

    fn loss(&self, parameters: &Array1<f64>) -> f64 {
        let (weights, _) = split(parameters);
        let log_odds = self.log_odds(parameters);
        let loss: f64 = log_odds.iter().zip(self.y).map(|(z, y)| log_loss_of_log_odds(*z, *y)).sum();
        loss + 0.5 * self.penalty * weights.dot(&weights)
    }

    fn probabilities(&self, parameters: &Array1<f64>) -> Array1<f64> {
        self.log_odds(parameters).mapv_into(|z| 1.0 / (1.0 + (-z).exp()))
    }

    fn gradient(&self, parameters: &Array1<f64>, probabilities: &Array1<f64>) -> Array1<f64> {
        let residuals: Array1<f64> =
            probabilities.iter().zip(self.y).map(|(p, y)| p - f64::from(u8::from(*y))).collect();
        let (weights, _) = split(parameters);
        let mut gradient = Array1::zeros(parameters.len());
        let (mut slopes, mut intercept) = gradient.view_mut().split_at(Axis(0), weights.len());
        slopes.assign(&(self.x.t().dot(&residuals) + &weights * self.penalty));
        intercept.fill(residuals.sum());
        gradient
    }

    fn hessian(&self, probabilities: &Array1<f64>) -> Array2<f64> {
        let spread = probabilities.mapv(|p| (p * (1.0 - p)).sqrt());
        let weighted = self.x * &spread.view().insert_axis(Axis(1));
        let columns = self.x.ncols();
        let mut hessian = Array2::zeros((columns + 1, columns + 1));
        hessian.slice_mut(s![..columns, ..columns]).assign(&weighted.t().dot(&weighted));
        hessian.diag_mut().slice_mut(s![..columns]).map_inplace(|value| *value += self.penalty);
        let border = weighted.t().dot(&spread);
        hessian.slice_mut(s![columns, ..columns]).assign(&border);
        hessian.slice_mut(s![..columns, columns]).assign(&border);
        hessian[(columns, columns)] = spread.dot(&spread);
        hessian
    }

    /// Damped Newton steps from `start`, or from nothing.
    fn newton(&self, start: Option<&Fit>) -> Array1<f64> {
        let mut parameters = start.map_or_else(|| Array1::zeros(self.x.ncols() + 1), Fit::parameters);
        let mut loss = self.loss(&parameters);
        for _ in 0..NEWTON_STEPS {
            let probabilities = self.probabilities(&parameters);
            let gradient = self.gradient(&parameters, &probabilities);
            if greatest(&gradient) <= TOLERANCE * self.y.len() as f64 {
                break;
            }
            let Some(cholesky) = Cholesky::new(&self.hessian(&probabilities)) else { break };
            let step = cholesky.solve(&gradient);
            let halvings = (0..30).map(|halving| 0.5_f64.powi(halving));
            let better = halvings.into_iter().find_map(|length| {
                let next = &parameters - &(&step * length);
                let next_loss = self.loss(&next);
                (next_loss < loss).then_some((next, next_loss))
            });
            let Some((next, next_loss)) = better else { break };
            (parameters, loss) = (next, next_loss);
        }
        parameters
    }
}

fn split(parameters: &Array1<f64>) -> (ArrayView1<'_, f64>, f64) {
    let columns = parameters.len() - 1;
    (parameters.slice(s![..columns]), parameters[columns])
}

fn greatest(vector: &Array1<f64>) -> f64 {
    vector.iter().fold(0.0, |greatest, value| greatest.max(value.abs()))
}
