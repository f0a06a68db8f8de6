//! How uncertain the log-odds of a fit, or of a stack of fits, are.

use std::ops::Range;

use ndarray::{Array1, Array2, Axis, s};

use super::{
    Fit,
    problem::{Problem, plus_ridge},
};
use crate::{linear::Cholesky, parallel::par_map, training::design::Design};

/// The number of customers whose scores are summed up at a time.
const CLUSTERS: usize = 256;
/// The columns of a product of matrices that are worth a task of their own.
const COLUMNS: usize = 256;
/// The most customers by whose scores the variance of a stack is estimated. With 10,000 the standard error of a
/// customer's variance is 1.4 %.
const SAMPLED_CLUSTERS: usize = 10_000;

/// A member of a stack: a fit whose log-odds count with a weight.
pub struct StackMember<'a> {
    /// The fit.
    pub fit: &'a Fit,
    /// Its columns for the rows, which are the same for all members.
    pub x: &'a Design,
    /// The weight of its log-odds in those of the stack.
    pub weight: f64,
    /// For each of its columns, the column of the stack's design that it is a multiple of, and the factor.
    pub columns: &'a [(usize, f64)],
}

/// The second derivatives of the penalised loss at a fit, and what follows from them.
struct Bread {
    /// J, that of the loss without the penalty.
    information: Array2<f64>,
    /// H⁻¹.
    inverse: Array2<f64>,
    /// H⁻¹·J.
    shrinkage: Array2<f64>,
    /// Per row the probability minus the label.
    residuals: Array1<f64>,
}

impl Fit {
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
        let Bread { information, inverse, shrinkage, residuals } = self.bread(x, y)?;
        let clusters = clusters(cluster);
        let chance = if clusters.len() == cluster.len() {
            information
        } else {
            squared_scores(x, &residuals, &clusters) * inflation(&clusters, shrinkage.diag().sum())
        };
        let variance = inverse.dot(&chance).dot(&inverse);
        let pull = self.pull(variance.diag().slice(s![1..]).sum(), &shrinkage);
        let error = inverse.dot(&plus_ridge(chance, pull)).dot(&inverse);
        Cholesky::new(&error).map(|cholesky| cholesky.factor().clone())
    }

    fn bread(&self, x: &Design, y: &[bool]) -> Option<Bread> {
        let problem = Problem { x, y, penalty: self.penalty, held_out: None };
        let probabilities = problem.probabilities(&self.parameters());
        let information = x.gram(&probabilities.mapv(|p| p * (1.0 - p)));
        let hessian = Cholesky::new(&plus_ridge(information.clone(), self.penalty))?;
        let inverse = hessian.inverse_factor().t().dot(hessian.inverse_factor());
        let shrinkage = inverse.dot(&information);
        Some(Bread { information, inverse, shrinkage, residuals: problem.residuals(&probabilities) })
    }

    /// λ²τ², at least λ. The mean of ‖weights‖² is τ²·‖H⁻¹·J‖² and their variance, `by_chance`, all without the
    /// intercept.
    fn pull(&self, by_chance: f64, shrinkage: &Array2<f64>) -> f64 {
        let shrinkage = shrinkage.slice(s![1.., 1..]);
        let mean_square = (self.weights.dot(&self.weights) - by_chance) / (&shrinkage * &shrinkage).sum();
        (self.penalty * self.penalty * mean_square).max(self.penalty)
    }
}

/// What [`Fit::uncertainty`] is for a fit, for the weighted sum of the log-odds of several fits to the same rows; x is a
/// row of the stack's design, which has `width` columns. The weights are taken as given.
///
/// The errors of the members have the same causes. The influence of a customer on the coefficients of the stack is the
/// sum over the members of weight · H⁻¹ · score, and the variance that of these sums over the customers. The true
/// weights of a column that several members share are the same, and the penalties pull the members at once:
/// B = Σ weight · λτ · H⁻¹, each in the columns of the stack, and C·Cᵀ = Σ u·uᵀ + B·Bᵀ.
#[must_use]
pub fn stack_uncertainty(
    members: &[StackMember<'_>],
    y: &[bool],
    cluster: &[u32],
    width: usize,
) -> Option<Array2<f64>> {
    let breads = par_map(members, |member| member.fit.bread(member.x, y));
    let breads = breads.into_iter().collect::<Option<Vec<Bread>>>()?;
    let (mut error, by_chance) = chance_of_stack(members, &breads, &clusters(cluster), width);
    let mut pulls = Array2::zeros((width + 1, width + 1));
    for ((member, bread), by_chance) in members.iter().zip(&breads).zip(by_chance) {
        member.add_pull(bread, member.fit.pull(by_chance, &bread.shrinkage).sqrt(), &mut pulls);
    }
    error += &product(&pulls, &pulls.t().to_owned());
    Cholesky::new(&error).map(|cholesky| cholesky.factor().clone())
}

/// The variance of the coefficients of the stack by chance, and for each member the summed variance of its weights.
fn chance_of_stack(
    members: &[StackMember<'_>],
    breads: &[Bread],
    clusters: &[Range<usize>],
    width: usize,
) -> (Array2<f64>, Vec<f64>) {
    let spent =
        members.iter().zip(breads).map(|(member, bread)| member.weight * bread.shrinkage.diag().sum());
    let sampled: Vec<Range<usize>> =
        clusters.iter().step_by(clusters.len().div_ceil(SAMPLED_CLUSTERS)).cloned().collect();
    let inflation = inflation(clusters, spent.sum()) * clusters.len() as f64 / sampled.len() as f64;
    let (mut variance, mut by_chance) = (Array2::zeros((width + 1, width + 1)), vec![0.0; members.len()]);
    for some in sampled.chunks(CLUSTERS) {
        let influences = par_map(members.iter().zip(breads), |(member, bread)| {
            scores(member.x, &bread.residuals, some).dot(&bread.inverse)
        });
        let mut of_stack = Array2::zeros((some.len(), width + 1));
        for ((member, influence), by_chance) in members.iter().zip(&influences).zip(&mut by_chance) {
            let weights = influence.slice(s![.., 1..]);
            *by_chance += (&weights * &weights).sum() * inflation;
            for ((at, factor), column) in member.places().zip(influence.axis_iter(Axis(1))) {
                of_stack.column_mut(at).scaled_add(factor, &column);
            }
        }
        variance += &product(&of_stack.t().to_owned(), &of_stack);
    }
    (variance * inflation, by_chance)
}

impl StackMember<'_> {
    /// The intercept and each column: its place in the stack, intercept first, and what its coefficient counts there.
    fn places(&self) -> impl Iterator<Item = (usize, f64)> {
        let columns = self.columns.iter().map(|(at, factor)| (at + 1, self.weight * factor));
        std::iter::once((0, self.weight)).chain(columns)
    }

    /// Adds weight · `pull` · H⁻¹, in the columns of the stack.
    fn add_pull(&self, bread: &Bread, pull: f64, sum: &mut Array2<f64>) {
        for ((at, factor), row) in self.places().zip(bread.inverse.rows()) {
            for (cause, x) in self.columns.iter().zip(row.iter().skip(1)) {
                sum[(at, cause.0 + 1)] += factor * pull * x;
            }
        }
    }
}

/// A·B, in parallel over the columns of B.
fn product(a: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    let mut whole = Array2::zeros((a.nrows(), b.ncols()));
    let parts = par_map(b.axis_chunks_iter(Axis(1), COLUMNS), |columns| a.dot(&columns));
    for (mut to, part) in whole.axis_chunks_iter_mut(Axis(1), COLUMNS).zip(parts) {
        to.assign(&part);
    }
    whole
}

/// The rows of each customer.
fn clusters(cluster: &[u32]) -> Vec<Range<usize>> {
    let lengths = cluster.chunk_by(|a, b| a == b).map(<[u32]>::len);
    let begin_and_end = |end: &mut usize, length| {
        let begin = *end;
        *end += length;
        Some(begin..*end)
    };
    lengths.scan(0, begin_and_end).collect()
}

/// The residuals of a fit are too small by the degrees of freedom it spent.
fn inflation(clusters: &[Range<usize>], spent: f64) -> f64 {
    let clusters = clusters.len() as f64;
    clusters / (clusters - spent.min(clusters / 2.0))
}

/// The score of each customer: the sum of residual · (1, x) over its rows.
fn scores(x: &Design, residuals: &Array1<f64>, clusters: &[Range<usize>]) -> Array2<f64> {
    let mut scores = Array2::zeros((clusters.len(), x.width() + 1));
    for (mut score, rows) in scores.axis_iter_mut(Axis(0)).zip(clusters) {
        for row in rows.clone() {
            score[0] += residuals[row];
            x.add_row(row, residuals[row], score.slice_mut(s![1..]));
        }
    }
    scores
}

/// Σ s·sᵀ over the customers, s being the score of a customer.
fn squared_scores(x: &Design, residuals: &Array1<f64>, clusters: &[Range<usize>]) -> Array2<f64> {
    let mut sum = Array2::zeros((x.width() + 1, x.width() + 1));
    for some in clusters.chunks(CLUSTERS) {
        let scores = scores(x, residuals, some);
        sum += &product(&scores.t().to_owned(), &scores);
    }
    sum
}
