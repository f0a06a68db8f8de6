//! The fit by maximum likelihood: Newton's method from several starts.

use serde::{Deserialize, Serialize};

use super::{BgNbd, Purchases, likelihood::Likelihood};
use crate::{
    counted,
    newton::{Ascent, Derivatives, GREATEST, LEAST, Surface},
    parallel::par_map,
};

/// The fewest customers with a repeat purchase that four parameters are fitted to.
const FEWEST_REPEAT_BUYERS: usize = 10;
/// The starts: r, a and b; α follows from the mean rate of purchases.
const STARTS: [[f64; 3]; 3] = [[0.5, 1.0, 4.0], [2.0, 0.3, 3.0], [0.2, 3.0, 3.0]];
/// About how many distinct customers the best of the starts is chosen on: among more it is the same one.
const SEARCHED: usize = 2_048;
/// The distinct customers whose likelihood one task adds up.
const BLOCK: usize = 4_096;

/// The result of [`BgNbd::fit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgNbdFit {
    /// The best parameters found; the maximum of the likelihood only if [`BgNbdFit::converged`].
    pub model: BgNbd,
    /// The number of customers fitted to.
    pub customers: usize,
    /// The sum of their log-likelihoods.
    pub log_likelihood: f64,
    /// The number of Newton steps.
    pub iterations: usize,
    /// The greatest slope of the log-likelihood by the logarithm of a parameter, per customer.
    pub gradient: f64,
    /// Why these parameters are not the maximum; None when they are.
    pub problem: Option<String>,
}

impl BgNbdFit {
    /// Whether the parameters are the maximum of the likelihood.
    #[must_use]
    pub const fn converged(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether the parameters are the best of those allowed, though perhaps not the maximum: in a sample
    /// in which nobody seems to leave, b reaches its bound and still describes the sample well.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.iterations > 0 && self.log_likelihood.is_finite()
    }
}

impl BgNbd {
    /// Fits to `customers` by maximum likelihood. Their order does not matter.
    #[must_use]
    pub fn fit(customers: &[Purchases]) -> BgNbdFit {
        Self::fit_with_covariance(customers).0
    }

    /// The same, and the covariance of the logarithms of r, α, a and b, 0 for one at a bound; None when the
    /// parameters are not usable.
    pub(crate) fn fit_with_covariance(customers: &[Purchases]) -> (BgNbdFit, Option<[[f64; 4]; 4]>) {
        let groups = CustomerGroups::new(customers);
        let too_few = (groups.repeat_buyers() < FEWEST_REPEAT_BUYERS).then(|| {
            format!(
                "{} of {} bought on more than one day; need {FEWEST_REPEAT_BUYERS}",
                groups.repeat_buyers(),
                counted(customers.len(), "customer", "customers")
            )
        });
        let best = if too_few.is_some() { groups.first_start() } else { groups.maximum() };
        let [r, alpha, a, b] = best.point.parameters;
        let fit = BgNbdFit {
            model: Self { r, alpha, a, b },
            customers: customers.len(),
            log_likelihood: best.point.log_likelihood,
            iterations: best.steps,
            gradient: best.gradient,
            problem: too_few.or_else(|| best.problem(["r", "alpha", "a", "b"])),
        };
        let covariance = if fit.is_usable() { best.point.covariance() } else { None };
        (fit, covariance)
    }
}

/// The distinct customers in a fixed order, each with the number of equal ones.
struct CustomerGroups(Vec<(Purchases, f64)>);

impl CustomerGroups {
    fn new(customers: &[Purchases]) -> Self {
        let mut sorted = customers.to_vec();
        sorted.sort_unstable_by(|one, other| {
            one.frequency
                .cmp(&other.frequency)
                .then(one.recency_weeks.total_cmp(&other.recency_weeks))
                .then(one.age_weeks.total_cmp(&other.age_weeks))
        });
        Self(sorted.chunk_by(|one, other| one == other).map(|equal| (equal[0], equal.len() as f64)).collect())
    }

    fn repeat_buyers(&self) -> usize {
        self.0.iter().filter(|(purchases, _)| purchases.frequency > 0).map(|(_, count)| *count as usize).sum()
    }

    /// The starts, as logarithms of the parameters.
    fn starts(&self) -> [[f64; 4]; STARTS.len()] {
        let total = |value: fn(&Purchases) -> f64| {
            self.0.iter().map(|(purchases, count)| count * value(purchases)).sum::<f64>().max(1.0)
        };
        let weeks_a_purchase = total(|purchases| purchases.age_weeks) / total(Purchases::x);
        STARTS.map(|[r, a, b]| [r, r * weeks_a_purchase, a, b].map(|value| value.clamp(LEAST, GREATEST).ln()))
    }

    /// The first start, without a step from it.
    fn first_start(&self) -> Ascent<4> {
        let surface = self.surface();
        surface.end(surface.point(self.starts()[0]), 0, false)
    }

    /// The highest maximum that the starts lead to. Among many customers, the starts are tried on some of them, evenly
    /// taken from their order, and the best end is where all customers start from.
    fn maximum(&self) -> Ascent<4> {
        if self.0.len() < 2 * SEARCHED {
            let [first, others @ ..] = self.starts().map(|start| self.surface().ascent(start));
            return others.into_iter().fold(first, Ascent::higher);
        }
        let every = self.0.len() / SEARCHED;
        let some = Self(self.0.iter().skip(every / 2).step_by(every).copied().collect());
        self.surface().ascent(some.maximum().point.logs)
    }

    /// The log-likelihood by the parameters.
    fn surface(&self) -> Surface<impl Fn([f64; 4]) -> Derivatives<4>> {
        let at = |[r, alpha, a, b]: [f64; 4]| {
            let model = BgNbd { r, alpha, a, b };
            Derivatives::sum(par_map(self.0.chunks(BLOCK), |block| {
                let mut likelihood = Likelihood::new(model);
                let mut sum = Derivatives::default();
                for (purchases, count) in block {
                    sum.add(*count, &likelihood.next(purchases));
                }
                sum
            }))
        };
        Surface { customers: self.0.iter().map(|(_, count)| count).sum(), at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_are_those_of_small_differences() {
        let customer =
            |frequency, recency_weeks, age_weeks| Purchases { frequency, recency_weeks, age_weeks };
        let customers =
            [customer(0, 0.0, 9.0), customer(1, 2.0, 30.0), customer(7, 25.0, 27.0), customer(7, 25.0, 27.0)];
        let groups = CustomerGroups::new(&customers);
        assert_eq!(groups.0.len(), 3);
        for parameters in [[0.3, 4.0, 0.8, 2.5], [5.0, 0.2, 0.1, 0.3], [0.05, 40.0, 9.0, 20.0]] {
            let logs = parameters.map(f64::ln);
            let [r, alpha, a, b] = parameters;
            let model = BgNbd { r, alpha, a, b };
            let point = groups.surface().point(logs);
            let sum: f64 = customers.iter().map(|customer| model.log_likelihood(customer)).sum();
            assert!((point.log_likelihood - sum).abs() < 1e-12 * sum.abs());
            for i in 0..4 {
                let step = 1e-5;
                let [below, above] = [-step, step].map(|step| {
                    let mut logs = logs;
                    logs[i] += step;
                    groups.surface().point(logs)
                });
                let slope = (above.log_likelihood - below.log_likelihood) / (2.0 * step);
                assert!((point.gradient[i] - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{i}");
                for j in 0..4 {
                    let bend = (above.gradient[j] - below.gradient[j]) / (2.0 * step);
                    assert!((point.hessian[i][j] - bend).abs() < 1e-7 * (1.0 + bend.abs()), "{i} {j}");
                }
            }
        }
    }
}
