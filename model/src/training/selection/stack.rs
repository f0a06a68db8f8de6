//! The weights of a stack: a regression of the labels on the members' log-odds for customers that they have not seen
//! (Wolpert 1992, "Stacked Generalization"; Breiman 1996, "Stacked Regressions", for weights of at least 0).

use ndarray::{Array1, Array2};

use crate::linear::Cholesky;

/// The precision of the prior of a weight, which is normal around equal weights with a standard deviation of ¼, against
/// the likelihood of one row for each customer. The members are so alike that the data say little about their
/// differences, and the rows of one customer say mostly the same.
const PRECISION: f64 = 16.0;
/// The most Newton steps; the problem has at most five parameters and takes fewer.
const STEPS: usize = 50;

/// The weights of the members, each at least 0, and an intercept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StackWeights {
    pub(super) intercept: f64,
    pub(super) weights: Vec<f64>,
}

/// Rows that weights are fitted to: the log-odds of each member, and the labels.
pub(super) struct StackRows<'a> {
    pub(super) members: &'a [&'a Array1<f64>],
    pub(super) labels: &'a [bool],
    /// The mean number of rows of a customer.
    pub(super) rows_per_customer: f64,
    /// The rows.
    pub(super) rows: &'a [usize],
}

impl StackWeights {
    /// The log-odds of a row.
    pub(super) fn log_odds(&self, members: &[&Array1<f64>], row: usize) -> f64 {
        self.weights.iter().zip(members).map(|(weight, log_odds)| weight * log_odds[row]).sum::<f64>()
            + self.intercept
    }
}

impl StackRows<'_> {
    /// The weights of the least penalised loss under the condition that none is below 0.
    ///
    /// The problem is convex. Its solution is that without the condition, if that meets it; else the least of the
    /// solutions with some of the weights fixed at 0 and the others free that meet it. With four members these are
    /// fourteen.
    pub(super) fn fit(&self) -> Option<StackWeights> {
        let all = (1_usize << self.members.len()) - 1;
        let free =
            |subset: usize| (0..self.members.len()).filter(|n| subset >> n & 1 == 1).collect::<Vec<_>>();
        let fit = |subset: usize| {
            let fit = self.fit_free(&free(subset));
            fit.filter(|(_, weights)| weights.weights.iter().all(|weight| *weight >= 0.0))
        };
        let least = || (1..all).filter_map(fit).min_by(|(a, _), (b, _)| a.total_cmp(b));
        fit(all).or_else(least).map(|(_, weights)| weights)
    }

    /// The penalised loss and the weights when those of the members in `free` may have any sign and the others are 0.
    fn fit_free(&self, free: &[usize]) -> Option<(f64, StackWeights)> {
        let equal = self.equal();
        let mut parameters = Array1::from_elem(free.len() + 1, equal);
        parameters[0] = 0.0;
        let mut now = self.at(free, &parameters);
        for _ in 0..STEPS {
            let step = Cholesky::new(&now.curvature)?.solve(&now.gradient);
            if step.dot(&now.gradient) < 1e-12 * now.loss {
                break;
            }
            let lengths = (0..30).map(|halving| 0.5_f64.powi(halving));
            let next = lengths
                .map(|length| &parameters - &(&step * length))
                .map(|next| (self.at(free, &next), next))
                .find(|(next, _)| next.loss < now.loss);
            let Some((at, next)) = next else { break };
            (now, parameters) = (at, next);
        }
        let mut weights = vec![0.0; self.members.len()];
        free.iter().zip(parameters.iter().skip(1)).for_each(|(n, weight)| weights[*n] = *weight);
        Some((now.loss, StackWeights { intercept: parameters[0], weights }))
    }

    fn equal(&self) -> f64 {
        1.0 / self.members.len() as f64
    }

    /// The penalised loss and its derivatives; the parameters are the intercept and the free weights.
    fn at(&self, free: &[usize], parameters: &Array1<f64>) -> Point {
        let (equal, precision) = (self.equal(), PRECISION * self.rows_per_customer);
        let count = parameters.len();
        let fixed = (self.members.len() - free.len()) as f64;
        let mut point = Point {
            loss: 0.5 * precision * fixed * equal * equal,
            gradient: Array1::zeros(count),
            curvature: Array2::zeros((count, count)),
        };
        let mut row_of_members = vec![1.0; count];
        for row in self.rows {
            free.iter().zip(&mut row_of_members[1..]).for_each(|(n, x)| *x = self.members[*n][*row]);
            let z = row_of_members.iter().zip(parameters).map(|(x, w)| x * w).sum::<f64>();
            let label = f64::from(u8::from(self.labels[*row]));
            let p = 1.0 / (1.0 + (-z).exp());
            point.loss += (-z.abs()).exp().ln_1p() + z.max(0.0) - label * z;
            for (i, x) in row_of_members.iter().enumerate() {
                point.gradient[i] += (p - label) * x;
                for (j, other) in row_of_members[..=i].iter().enumerate() {
                    point.curvature[(i, j)] += p * (1.0 - p) * x * other;
                }
            }
        }
        for (n, weight) in parameters.iter().enumerate().skip(1) {
            point.loss += 0.5 * precision * (weight - equal).powi(2);
            point.gradient[n] += precision * (weight - equal);
            point.curvature[(n, n)] += precision;
        }
        point
    }
}

struct Point {
    loss: f64,
    gradient: Array1<f64>,
    /// The lower triangle.
    curvature: Array2<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngCore, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Uniform in (−1, 1).
    fn uniform(sampler: &mut Xoshiro256PlusPlus) -> f64 {
        (sampler.next_u64() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Labels drawn by their true log-odds, of which each member knows a share.
    fn drawn(seed: u64, knows: &[f64]) -> (Vec<Array1<f64>>, Vec<bool>) {
        let mut sampler = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut members = vec![Vec::new(); knows.len()];
        let labels = (0..4_000).map(|_| {
            let truth = 3.0 * uniform(&mut sampler);
            for (member, knows) in members.iter_mut().zip(knows) {
                member.push(knows * truth + (1.0 - knows) * 3.0 * uniform(&mut sampler));
            }
            uniform(&mut sampler) < 2.0 / (1.0 + (-truth).exp()) - 1.0
        });
        let labels = labels.collect();
        (members.into_iter().map(Array1::from_vec).collect(), labels)
    }

    fn loss(rows: &StackRows<'_>, weights: &[f64], intercept: f64) -> f64 {
        let free: Vec<usize> = (0..weights.len()).collect();
        let parameters = std::iter::once(intercept).chain(weights.iter().copied()).collect();
        rows.at(&free, &parameters).loss
    }

    #[test]
    fn weights_are_the_best_of_all_that_are_not_negative() {
        let rows: Vec<usize> = (0..4_000).collect();
        for (seed, knows) in [(1, vec![1.0, 0.5, 0.0, 0.2]), (2, vec![0.9, 0.8]), (3, vec![0.0, 1.0, -0.5])] {
            let (members, labels) = drawn(seed, &knows);
            let members: Vec<&Array1<f64>> = members.iter().collect();
            let rows = StackRows { members: &members, labels: &labels, rows_per_customer: 1.0, rows: &rows };
            let found = rows.fit().unwrap();
            assert!(found.weights.iter().all(|weight| *weight >= 0.0));
            let least = loss(&rows, &found.weights, found.intercept);
            let mut sampler = Xoshiro256PlusPlus::seed_from_u64(seed);
            for size in [1e-3, 1e-2, 0.1, 0.5].into_iter().cycle().take(400) {
                let other: Vec<f64> =
                    found.weights.iter().map(|w| (w + size * uniform(&mut sampler)).max(0.0)).collect();
                assert!(loss(&rows, &other, found.intercept + size * uniform(&mut sampler)) >= least);
            }
        }
    }

    #[test]
    fn who_knows_the_truth_gets_the_weight_and_equals_share_it() {
        let rows: Vec<usize> = (0..4_000).collect();
        let (members, labels) = drawn(4, &[1.0, 0.0]);
        let stack = |members: &[&Array1<f64>], rows_per_customer| {
            StackRows { members, labels: &labels, rows_per_customer, rows: &rows }.fit().unwrap()
        };
        let StackWeights { weights, intercept } = stack(&[&members[0], &members[1]], 1.0);
        assert!((weights[0] - 1.0).abs() < 0.1 && weights[1] < 0.1 && intercept.abs() < 0.1, "{weights:?}");
        let weights = stack(&[&members[0], &members[0]], 1.0).weights;
        assert!((weights[0] - weights[1]).abs() < 1e-6 && (weights[0] - 0.5).abs() < 0.05, "{weights:?}");
        // A million rows of each customer say nothing, and the weights stay equal.
        let weights = stack(&[&members[0], &members[1]], 1e6).weights;
        assert!(weights.iter().all(|weight| (weight - 0.5).abs() < 1e-3), "{weights:?}");
    }
}
