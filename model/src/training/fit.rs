//! Fitting: linfa's logistic regression with an L2 penalty, started near its optimum.
//!
//! linfa reports success whatever happened, so the gradient is checked here. Newton steps come first
//! and leave little to do. Their cost is in the second derivatives: those of a sample are used as long as
//! they converge fast, so that a fit of many rows is a few passes over them.

use std::cmp::Ordering;

use linfa::{dataset::DatasetBase, traits::Fit as _};
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::{linear::Cholesky, parallel::par_map, training::design::Design};

/// The greatest length of the gradient of the summed loss, per row.
const TOLERANCE: f64 = 1e-8;
/// The same when fits are only compared with each other.
const ROUGH: f64 = 1e-6;
/// The same for the fits of a cross-validation, of which only the losses are compared.
const COARSE: f64 = 1e-5;
/// The same for the fit to a sample, from which that to all rows starts: the optimum of a sample is farther
/// away by chance.
const SKETCH: f64 = 1e-4;
/// The sample has one of this many rows.
const SAMPLED: usize = 16;
/// The number of rows from which on a sample comes first.
const MANY: usize = 50_000;
/// The most Newton steps before linfa takes over; being convex, the problem takes far fewer.
const NEWTON_STEPS: usize = 50;
/// Second derivatives are reused as long as a step with them leaves at most this share of the gradient.
const REUSABLE: f64 = 0.2;
/// The most steps of a fit in a cross-validation, all with the same second derivatives.
const FOLD_STEPS: usize = 12;
/// linfa needs the whole matrix: above this many numbers (512 MiB) the result is that of the Newton steps, with the
/// same bound on the gradient.
const MATRIX: usize = 1 << 26;
/// The number of customers whose scores are summed up at a time.
const CLUSTERS: usize = 256;

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

    /// Fits well enough to compare penalties: to the rows outside of each fold, from the fits `starts` with a stronger
    /// penalty, if there are any. Returns the fits, and the log-odds of each row by the fit that has not seen it.
    ///
    /// All fits use the same second derivatives, those at the mean of `starts`, and take at most [`FOLD_STEPS`] steps
    /// with them, each a pass over the rows. A fit that is not at its optimum by then is one with a somewhat stronger
    /// penalty, since it comes from there.
    #[must_use]
    pub fn cross_validated(
        (x, y): (&Design, &[bool]),
        folds: &Folds,
        penalty: f64,
        starts: &[Self],
    ) -> (Vec<Self>, Array1<f64>) {
        let start = |fold: usize| starts.get(fold).map_or_else(|| base_rate(x, y), Self::parameters);
        let sum = (1..folds.count).fold(start(0), |sum, fold| sum + start(fold));
        let mean = sum / folds.count as f64;
        let variances = (x.dot(weights(&mean)) + mean[0]).mapv_into(variance);
        // A part has fewer rows and the same penalty, which is as if all rows had a greater one.
        let share = folds.count as f64 / (folds.count - 1) as f64;
        let cholesky = Cholesky::new(&plus_ridge(x.gram(&variances), penalty * share));
        let fits = par_map(0..folds.count, |fold| {
            let problem = Problem { x, y, penalty, held_out: Some(HeldOut { folds, fold }) };
            let curvature = cholesky.as_ref().map(|cholesky| (cholesky, share));
            let point = problem.step_with(start(fold), curvature);
            (problem.fit(&point.parameters), point.log_odds)
        });
        let out_of_fold = folds.of_row.iter().enumerate().map(|(row, fold)| fits[*fold].1[row]).collect();
        (fits.into_iter().map(|(fit, _)| fit).collect(), out_of_fold)
    }

    /// The log-odds of each row.
    #[must_use]
    pub fn log_odds(&self, x: &Design) -> Array1<f64> {
        x.dot(self.weights.view()) + self.intercept
    }

    /// The lower triangular C, intercept first, such that the log-odds of a row x has the mean squared
    /// error ‖Cᵀ·(1, x)‖² (delta method). `cluster` is the customer of each row, equal ones side by side.
    ///
    /// That is C·Cᵀ = H⁻¹·(V + P)·H⁻¹, H = J + λ·I being the second derivatives of the penalised loss (the
    /// intercept has no penalty). V is the variance of the gradient: the information J when each row belongs to
    /// another customer, else the sum of the squared scores of the customers, whose rows are not independent
    /// (Liang and Zeger 1986). P = λ²τ²·I is the squared pull of the penalty, τ² being the mean square of
    /// the true weights (Hoerl and Kennard 1970). If λ = 1/τ², the penalty is the true prior, and
    /// the result is the Bayesian H⁻¹ (Nychka 1988, "Bayesian Confidence Intervals for Smoothing Splines"). But
    /// a λ chosen by validation may be several times too strong, and such intervals too narrow; so τ² is
    /// estimated from the fit itself, and is at least 1/λ. None when H is singular.
    #[must_use]
    pub fn uncertainty(&self, x: &Design, y: &[bool], cluster: &[u32]) -> Option<Array2<f64>> {
        let problem = Problem { x, y, penalty: self.penalty, held_out: None };
        let probabilities = problem.probabilities(&self.parameters());
        let information = x.gram(&probabilities.mapv(|p| p * (1.0 - p)));
        let hessian = Cholesky::new(&plus_ridge(information.clone(), self.penalty))?;
        let inverse = hessian.inverse_factor().t().dot(hessian.inverse_factor());
        let shrinkage = inverse.dot(&information);
        let clusters = cluster.chunk_by(|a, b| a == b).count();
        let chance = if clusters == cluster.len() {
            information
        } else {
            // The residuals of a fit are too small by the degrees of freedom it spent.
            let spent = shrinkage.diag().sum();
            let few = clusters as f64 / (clusters as f64 - spent.min(clusters as f64 / 2.0));
            problem.squared_scores(&probabilities, cluster) * few
        };
        let variance = inverse.dot(&chance).dot(&inverse);
        // The mean of ‖weights‖² is τ²·‖H⁻¹·J‖² and their variance, all without the intercept.
        let by_chance = variance.diag().slice(s![1..]).sum();
        let shrinkage = shrinkage.slice(s![1.., 1..]);
        let mean_square = (self.weights.dot(&self.weights) - by_chance) / (&shrinkage * &shrinkage).sum();
        let pull = (self.penalty * self.penalty * mean_square).max(self.penalty);
        let error = inverse.dot(&plus_ridge(chance, pull)).dot(&inverse);
        Cholesky::new(&error).map(|cholesky| cholesky.factor().clone())
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

/// The folds of a cross-validation.
#[derive(Debug)]
pub struct Folds {
    /// The fold of each row, below `count`.
    pub of_row: Vec<usize>,
    /// The number of folds.
    pub count: usize,
}

/// A fold whose rows are not fitted to.
#[derive(Clone, Copy)]
struct HeldOut<'a> {
    folds: &'a Folds,
    fold: usize,
}

/// The penalised loss; parameters are the intercept, then the weights.
#[derive(Clone, Copy)]
struct Problem<'a> {
    x: &'a Design,
    y: &'a [bool],
    penalty: f64,
    held_out: Option<HeldOut<'a>>,
}

/// The penalised loss at some parameters.
struct Point {
    parameters: Array1<f64>,
    log_odds: Array1<f64>,
    loss: f64,
    gradient: Array1<f64>,
}

/// Second derivatives, factored.
struct Curvature {
    cholesky: Cholesky,
    /// The share of all rows that they are summed over.
    share: f64,
}

impl Point {
    /// The length of the gradient, as linfa measures it.
    fn slope(&self) -> f64 {
        self.gradient.dot(&self.gradient).sqrt()
    }

    /// Whether it is nearer to the optimum. Close to the optimum the loss is the same to the last digits, and the
    /// gradient decides.
    fn is_better_than(&self, other: &Self) -> bool {
        let same = (self.loss - other.loss).abs() <= 1e-12 * other.loss.abs();
        if same { self.slope() < other.slope() } else { self.loss < other.loss }
    }
}

impl Problem<'_> {
    fn is_held_out(&self, row: usize) -> bool {
        self.held_out.is_some_and(|held_out| held_out.folds.of_row[row] == held_out.fold)
    }

    /// One pass over the rows.
    fn at(&self, parameters: Array1<f64>) -> Point {
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

    fn probabilities(&self, parameters: &Array1<f64>) -> Array1<f64> {
        let log_odds = self.x.dot(weights(parameters)) + parameters[0];
        log_odds.mapv_into(|z| 1.0 / (1.0 + (-z).exp()))
    }

    /// Per row the probability minus the label.
    fn residuals(&self, probabilities: &Array1<f64>) -> Array1<f64> {
        probabilities.iter().zip(self.y).map(|(p, y)| p - f64::from(u8::from(*y))).collect()
    }

    /// The second derivatives of the loss for these log-odds of the rows. None when they are singular.
    fn curvature(&self, log_odds: &Array1<f64>) -> Option<Cholesky> {
        let of_rows = log_odds.mapv(variance);
        Cholesky::new(&plus_ridge(self.x.gram(&of_rows), self.penalty))
    }

    /// The fit, when the gradient per row is within `tolerance`.
    fn checked(&self, parameters: Array1<f64>, tolerance: f64) -> Result<Fit, FitError> {
        let point = self.at(parameters);
        let gradient = point.slope() / self.y.len() as f64;
        if gradient <= tolerance {
            Ok(self.fit(&point.parameters))
        } else {
            Err(FitError::NotConverged { gradient })
        }
    }

    fn fit(&self, parameters: &Array1<f64>) -> Fit {
        Fit { intercept: parameters[0], weights: weights(parameters).to_owned(), penalty: self.penalty }
    }

    /// Takes at most [`FOLD_STEPS`] damped steps from `start` with the same second derivatives and their share (see
    /// [`Curvature`]).
    fn step_with(&self, start: Array1<f64>, curvature: Option<(&Cholesky, f64)>) -> Point {
        let mut point = self.at(start);
        let Some((cholesky, share)) = curvature else { return point };
        let mut length = share;
        for _ in 0..FOLD_STEPS {
            if point.slope() <= COARSE * self.y.len() as f64 {
                break;
            }
            let next = self.at(&point.parameters - &(cholesky.solve(&point.gradient) * length));
            if next.is_better_than(&point) {
                point = next;
            } else {
                length /= 2.0;
            }
        }
        point
    }

    /// Takes damped Newton steps from `start`, or from 0, until the gradient per row is within `tolerance` or no
    /// step gets nearer.
    fn newton(&self, start: Option<&Fit>, tolerance: f64) -> Array1<f64> {
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
    fn start(&self, start: Option<&Fit>) -> (Point, Option<Curvature>) {
        let rows = self.y.len();
        let sample = (rows >= MANY).then(|| self.sample());
        let sample = sample.as_ref().map(|(x, y)| {
            let penalty = self.penalty * y.len() as f64 / rows as f64;
            Problem { x, y, penalty, held_out: None }
        });
        let parameters = match (start, &sample) {
            (Some(fit), _) => fit.parameters(),
            (None, Some(sample)) => sample.newton(None, SKETCH),
            (None, None) => Array1::zeros(self.x.width() + 1),
        };
        let point = self.at(parameters);
        let curvature = sample.and_then(|sample| {
            let log_odds = sample.x.dot(weights(&point.parameters)) + point.parameters[0];
            let share = sample.y.len() as f64 / rows as f64;
            Some(Curvature { cholesky: sample.curvature(&log_odds)?, share })
        });
        (point, curvature)
    }

    fn own_curvature(&self, point: &Point) -> Option<Curvature> {
        Some(Curvature { cholesky: self.curvature(&point.log_odds)?, share: 1.0 })
    }

    /// One row of each group of [`SAMPLED`], at a varying place: rows are in the order of customers and times.
    fn sample(&self) -> (Design, Vec<bool>) {
        let rows: Vec<usize> = (0..self.y.len() / SAMPLED)
            .map(|n| n * SAMPLED + n.wrapping_mul(0x9E37_79B9) % SAMPLED)
            .collect();
        (self.x.select(&rows), rows.iter().map(|row| self.y[*row]).collect())
    }

    /// Σ s·sᵀ over the customers, s being the sum of residual · (1, x) over a customer's rows.
    fn squared_scores(&self, probabilities: &Array1<f64>, cluster: &[u32]) -> Array2<f64> {
        let width = self.x.width() + 1;
        let residuals = self.residuals(probabilities);
        let mut sum = Array2::zeros((width, width));
        let mut row = 0;
        let clusters: Vec<usize> = cluster.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
        for some in clusters.chunks(CLUSTERS) {
            let mut scores = Array2::<f64>::zeros((some.len(), width));
            for (mut score, rows) in scores.axis_iter_mut(Axis(0)).zip(some) {
                for row in row..row + rows {
                    score[0] += residuals[row];
                    self.x.add_row(row, residuals[row], score.slice_mut(s![1..]));
                }
                row += rows;
            }
            sum += &scores.t().dot(&scores);
        }
        sum
    }
}

/// The parameters that predict the base rate for every row.
fn base_rate(x: &Design, y: &[bool]) -> Array1<f64> {
    let positives = y.iter().filter(|outcome| **outcome).count() as f64;
    let mut parameters = Array1::zeros(x.width() + 1);
    parameters[0] = (positives / (y.len() as f64 - positives)).ln();
    parameters
}

/// p·(1 − p) at the log-odds.
fn variance(log_odds: f64) -> f64 {
    let small = (-log_odds.abs()).exp();
    small / (1.0 + small).powi(2)
}

/// Adds to the diagonal, except for the intercept.
fn plus_ridge(mut matrix: Array2<f64>, ridge: f64) -> Array2<f64> {
    matrix.diag_mut().slice_mut(s![1..]).map_inplace(|value| *value += ridge);
    matrix
}

fn weights(parameters: &Array1<f64>) -> ArrayView1<'_, f64> {
    parameters.slice(s![1..])
}
