//! The fit by maximum likelihood: Newton's method from several starts.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::{
    BgNbd, GREATEST, LEAST, Purchases,
    likelihood::{Derivatives, Likelihood},
};
use crate::linear::Cholesky;

/// The fewest customers with a repeat purchase that four parameters are fitted to.
const FEWEST_REPEAT_BUYERS: usize = 10;
/// The starts: r, a and b; α follows from the mean rate of purchases.
const STARTS: [[f64; 3]; 3] = [[0.5, 1.0, 4.0], [2.0, 0.3, 3.0], [0.2, 3.0, 3.0]];
/// The most Newton steps from one start; some ten are usual.
const STEPS: usize = 200;
/// A Newton step that changes no parameter by more than this share is the last one: the next would
/// be its square.
const SMALL_STEP: f64 = 1e-5;
/// The greatest gradient by the logarithm of a parameter, per customer, at the maximum.
const TOLERANCE: f64 = 1e-8;

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
        let groups = CustomerGroups::new(customers);
        let too_few = (groups.repeat_buyers() < FEWEST_REPEAT_BUYERS).then(|| {
            format!(
                "{} of {} customers bought on more than one day; need {FEWEST_REPEAT_BUYERS}",
                groups.repeat_buyers(),
                customers.len()
            )
        });
        let ascents = groups.starts().map(|start| match &too_few {
            None => groups.ascent(start),
            Some(_) => Ascent { point: groups.at(start), steps: 0, converged: false },
        });
        let [first, others @ ..] = ascents;
        let best = others.into_iter().fold(first, |best, ascent| {
            if ascent.point.log_likelihood > best.point.log_likelihood { ascent } else { best }
        });
        let gradient = best.point.gradient.iter().fold(0.0, |greatest: f64, slope| greatest.max(slope.abs()))
            / customers.len().max(1) as f64;
        BgNbdFit {
            model: best.point.model,
            customers: customers.len(),
            log_likelihood: best.point.log_likelihood,
            iterations: best.steps,
            gradient,
            problem: too_few.or_else(|| best.problem(gradient)),
        }
    }
}

/// The distinct customers in a fixed order, each with the number of equal ones.
struct CustomerGroups(Vec<(Purchases, f64)>);

impl CustomerGroups {
    fn new(customers: &[Purchases]) -> Self {
        let mut sorted = customers.to_vec();
        sorted.sort_by(|one, other| {
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

    /// Climbs to a maximum of the log-likelihood: Newton's method on the logarithms of the
    /// parameters, damped where the surface does not bend downwards, inside the bounds.
    fn ascent(&self, start: [f64; 4]) -> Ascent {
        let mut point = self.at(start);
        for steps in 1..=STEPS {
            let Some((step, damped)) = point.step(self.customers()) else {
                return Ascent { point, steps, converged: false };
            };
            let longest = step.iter().fold(0.0, |longest: f64, part| longest.max(part.abs()));
            if longest <= SMALL_STEP && !damped {
                // So near to the maximum the likelihood is the same to the last digit; only the slope counts.
                return Ascent { point: self.at(point.moved(step, 1.0)), steps, converged: true };
            }
            // A step multiplies or divides a parameter by e at most.
            let lengths = (0..40).map(|halving| 0.5_f64.powi(halving) / longest.max(1.0));
            let higher = lengths
                .map(|length| self.at(point.moved(step, length)))
                .find(|next| next.log_likelihood > point.log_likelihood);
            match higher {
                Some(next) => point = next,
                None => return Ascent { point, steps, converged: false },
            }
        }
        Ascent { point, steps: STEPS, converged: false }
    }

    fn customers(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The log-likelihood and its derivatives by the logarithms of the parameters.
    fn at(&self, logs: [f64; 4]) -> ParameterPoint {
        let [r, alpha, a, b] = logs.map(|log| log.exp().clamp(LEAST, GREATEST));
        let model = BgNbd { r, alpha, a, b };
        let mut likelihood = Likelihood::new(model);
        let mut all = Derivatives::default();
        for (purchases, count) in &self.0 {
            let one = likelihood.next(purchases);
            all.log_likelihood += count * one.log_likelihood;
            for i in 0..4 {
                all.slope[i] += count * one.slope[i];
                for j in 0..=i {
                    all.bend[i][j] += count * one.bend[i][j];
                }
            }
        }
        // By the logarithms.
        let parameters = model.parameters();
        let gradient = std::array::from_fn(|i| parameters[i] * all.slope[i]);
        let hessian = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let own = if i == j { gradient[i] } else { 0.0 };
                parameters[i] * parameters[j] * all.bend[i.max(j)][i.min(j)] + own
            })
        });
        ParameterPoint { logs, model, log_likelihood: all.log_likelihood, gradient, hessian }
    }
}

/// The log-likelihood and its derivatives at some parameters, by their logarithms.
struct ParameterPoint {
    logs: [f64; 4],
    model: BgNbd,
    log_likelihood: f64,
    gradient: [f64; 4],
    hessian: [[f64; 4]; 4],
}

impl ParameterPoint {
    fn moved(&self, step: [f64; 4], length: f64) -> [f64; 4] {
        std::array::from_fn(|i| (self.logs[i] + length * step[i]).clamp(LEAST.ln(), GREATEST.ln()))
    }

    /// Whether parameter `i` is at a bound beyond which the likelihood would rise.
    fn is_held(&self, i: usize) -> bool {
        (self.logs[i] <= LEAST.ln() && self.gradient[i] <= 0.0)
            || (self.logs[i] >= GREATEST.ln() && self.gradient[i] >= 0.0)
    }

    /// A step upwards in the parameters that no bound holds, and whether it had to be damped. None when
    /// no damping helps.
    fn step(&self, customers: f64) -> Option<([f64; 4], bool)> {
        let free: Vec<usize> = (0..4).filter(|i| !self.is_held(*i)).collect();
        let gradient: Array1<f64> = free.iter().map(|i| self.gradient[*i]).collect();
        std::iter::once(0.0).chain((-9..=3).map(|power| 10_f64.powi(power))).find_map(|damping| {
            let downwards = Array2::from_shape_fn((free.len(), free.len()), |(i, j)| {
                let damping = if i == j { damping * customers } else { 0.0 };
                damping - self.hessian[free[i]][free[j]]
            });
            let solved = Cholesky::new(&downwards)?.solve(&gradient);
            let mut step = [0.0; 4];
            free.iter().zip(solved).for_each(|(i, part)| step[*i] = part);
            Some((step, damping > 0.0))
        })
    }
}

/// Where the steps from one start ended.
struct Ascent {
    point: ParameterPoint,
    steps: usize,
    converged: bool,
}

impl Ascent {
    /// Why this is not a maximum; None when it is.
    fn problem(&self, gradient: f64) -> Option<String> {
        let point = &self.point;
        let bounded: Vec<String> = ["r", "alpha", "a", "b"]
            .iter()
            .zip(point.logs.iter().zip(point.model.parameters()))
            .filter(|(_, (log, _))| **log <= LEAST.ln() || **log >= GREATEST.ln())
            .map(|(name, (_, value))| format!("{name} = {value:e}"))
            .collect();
        if !point.log_likelihood.is_finite() {
            Some("the likelihood is not finite".to_owned())
        } else if !bounded.is_empty() {
            Some(format!("no maximum inside the bounds: {}", bounded.join(", ")))
        } else if !self.converged || gradient > TOLERANCE {
            Some(format!(
                "no maximum after {} steps: the gradient is {gradient:.1e} a customer, allowed is {TOLERANCE:.0e}",
                self.steps
            ))
        } else {
            None
        }
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
            let point = groups.at(logs);
            let sum: f64 = customers.iter().map(|customer| point.model.log_likelihood(customer)).sum();
            assert!((point.log_likelihood - sum).abs() < 1e-12 * sum.abs());
            for i in 0..4 {
                let step = 1e-5;
                let [below, above] = [-step, step].map(|step| {
                    let mut logs = logs;
                    logs[i] += step;
                    groups.at(logs)
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
