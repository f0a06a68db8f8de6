//! The Gamma-Gamma model of the money of a purchase: Fader and Hardie (2013), "The Gamma-Gamma model of monetary value".
//!
//! The money of each purchase of a customer is gamma distributed with shape p and a rate ν of its own; over the customers,
//! ν is gamma distributed with shape q and rate v. Money and number of purchases are independent. On the CDNOW sample the
//! note gives p = 6.25, q = 3.74 and v = 15.44 dollars.

use serde::{Deserialize, Serialize};

use super::BuyerPurchases;
use crate::{
    counted,
    newton::{Ascent, Derivatives, GREATEST, LEAST, Surface},
    parallel::par_map,
    special::{digamma_and_trigamma, ln_beta},
};

/// The fewest customers with the money of repeat purchases that three parameters are fitted to.
pub(super) const FEWEST_CUSTOMERS: usize = 10;
/// The starts: p and q; v follows from the mean money of a purchase.
const STARTS: [[f64; 2]; 3] = [[2.0, 3.0], [10.0, 5.0], [0.5, 2.0]];
/// The customers whose likelihood one task adds up.
const BLOCK: usize = 4_096;

/// The parameters of the model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GammaGamma {
    /// p: the shape of the money of one customer's purchases; the greater, the more alike they are.
    pub p: f64,
    /// q: the shape of the rates; the greater, the more alike the customers are.
    pub q: f64,
    /// v, in minor units: the mean money of a purchase is p·v / (q − 1).
    pub v: f64,
}

/// The parameters that fit best, and how well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GammaGammaFit {
    /// The best parameters found; the maximum of the likelihood only without a problem.
    pub model: GammaGamma,
    /// The number of customers fitted to: those with the money of repeat purchases.
    pub customers: usize,
    /// The sum of their log-likelihoods, by money in minor units.
    pub log_likelihood: f64,
    /// The number of Newton steps.
    pub iterations: usize,
    /// Why the parameters are not used; None when they are.
    pub problem: Option<String>,
}

/// The repeat purchases of a customer: how many (x), and their money together.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RepeatMoney {
    x: f64,
    sum: f64,
}

impl GammaGamma {
    /// Fits to the customers with money of repeat purchases by maximum likelihood. Their order does not matter, and
    /// neither does the unit of money. Also returns the covariance of the logarithms of p, q and v; None with a problem.
    pub(super) fn fit(buyers: &[BuyerPurchases]) -> (GammaGammaFit, Option<[[f64; 3]; 3]>) {
        let sample = ScaledMoney::new(buyers);
        let too_few = (sample.customers.len() < FEWEST_CUSTOMERS).then(|| {
            format!(
                "{} the money of repeat purchases; need {FEWEST_CUSTOMERS}",
                counted(sample.customers.len(), "customer has", "customers have")
            )
        });
        let best = if too_few.is_some() { sample.first_start() } else { sample.maximum() };
        let [p, q, scaled_v] = best.point.parameters;
        // q ≤ 1 is said first: the mean is not finite then, whatever else is wrong.
        let endless = (q <= 1.0).then(|| format!("q = {q:.3}: the mean money of a purchase is not finite"));
        let problem = too_few.or(endless).or_else(|| best.problem(["p", "q", "v"]));
        let covariance = if problem.is_none() { best.point.covariance() } else { None };
        let fit = GammaGammaFit {
            model: Self { p, q, v: scaled_v * sample.scale },
            customers: sample.customers.len(),
            log_likelihood: best.point.log_likelihood - sample.customers.len() as f64 * sample.scale.ln(),
            iterations: best.steps,
            problem,
        };
        (fit, covariance)
    }

    /// The expected money of a purchase of a customer with `x` repeat purchases that brought `sum` together.
    pub(super) fn expected_money(&self, x: f64, sum: f64) -> f64 {
        self.p * (self.v + sum) / (self.p * x + self.q - 1.0)
    }
}

/// The repeat purchases of customers in a fixed order, the customers with money only.
struct ScaledMoney {
    customers: Vec<RepeatMoney>,
    /// What money is divided by: the mean of the customers' mean money.
    scale: f64,
}

impl ScaledMoney {
    fn new(buyers: &[BuyerPurchases]) -> Self {
        let mut money: Vec<(u32, i64)> = buyers
            .iter()
            .filter(|buyer| buyer.has_repeat_money())
            .map(|buyer| (buyer.purchases.frequency, buyer.repeat_revenue))
            .collect();
        money.sort_unstable();
        let mut customers: Vec<RepeatMoney> =
            money.into_iter().map(|(x, sum)| RepeatMoney { x: f64::from(x), sum: sum as f64 }).collect();
        let total: f64 = customers.iter().map(|customer| customer.sum / customer.x).sum();
        let scale = if customers.is_empty() { 1.0 } else { total / customers.len() as f64 };
        customers.iter_mut().for_each(|customer| customer.sum /= scale);
        Self { customers, scale }
    }

    /// The starts, as logarithms of the parameters: the mean money is 1.
    fn starts() -> [[f64; 3]; STARTS.len()] {
        STARTS.map(|[p, q]| [p, q, (q - 1.0) / p].map(|value| value.clamp(LEAST, GREATEST).ln()))
    }

    fn first_start(&self) -> Ascent<3> {
        let surface = self.surface();
        surface.end(surface.point(Self::starts()[0]), 0, false)
    }

    fn maximum(&self) -> Ascent<3> {
        let [first, others @ ..] = Self::starts().map(|start| self.surface().ascent(start));
        others.into_iter().fold(first, Ascent::higher)
    }

    /// The log-likelihood by the parameters.
    fn surface(&self) -> Surface<impl Fn([f64; 3]) -> Derivatives<3>> {
        let at = |parameters: [f64; 3]| {
            Derivatives::sum(par_map(self.customers.chunks(BLOCK), |block| {
                let mut sum = Derivatives::default();
                for same in block.chunk_by(|one, other| one.x == other.x) {
                    add_same_x(&mut sum, parameters, same);
                }
                sum
            }))
        };
        Surface { customers: self.customers.len() as f64, at }
    }
}

/// Adds customers with the same x: ln of Γ(px+q)/(Γ(px)·Γ(q)) · v^q·(x·m)^(px) / (m·(v + x·m)^(px+q)), the density of the
/// mean money m (equation 1a).
fn add_same_x(all: &mut Derivatives<3>, [p, q, v]: [f64; 3], same: &[RepeatMoney]) {
    let Some(RepeatMoney { x, .. }) = same.first().copied() else { return };
    let shape = p * x;
    let [both, own, rate] = [shape + q, shape, q].map(digamma_and_trigamma);
    // What differs between these customers.
    let (mut log_share, mut log_rest, mut log_money, mut inverse, mut inverse_square) =
        (0.0, 0.0, 0.0, 0.0, 0.0);
    for customer in same {
        let each = 1.0 / (v + customer.sum);
        log_share -= (v / customer.sum).ln_1p();
        log_rest -= (customer.sum / v).ln_1p();
        log_money += (customer.sum / x).ln();
        inverse += each;
        inverse_square += each * each;
    }
    let count = same.len() as f64;
    all.log_likelihood += shape * log_share + q * log_rest - log_money - count * ln_beta(shape, q);
    all.slope[0] += x * (count * (both[0] - own[0]) + log_share);
    all.slope[1] += count * (both[0] - rate[0]) + log_rest;
    all.slope[2] += count * q / v - (shape + q) * inverse;
    all.bend[0][0] += count * x * x * (both[1] - own[1]);
    all.bend[1][0] += count * x * both[1];
    all.bend[1][1] += count * (both[1] - rate[1]);
    all.bend[2][0] -= x * inverse;
    all.bend[2][1] += count / v - inverse;
    all.bend[2][2] += (shape + q) * inverse_square - count * q / (v * v);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{features::bg_nbd::Purchases, special::ln_gamma};

    /// The density of the mean money of a customer: the gamma density with px and νx, averaged over ν by Simpson's rule
    /// on ln ν.
    fn averaged_density([p, q, v]: [f64; 3], x: f64, mean: f64) -> f64 {
        let gamma = |shape: f64, rate: f64, at: f64| {
            (shape * rate.ln() + (shape - 1.0) * at.ln() - rate * at - ln_gamma(shape)).exp()
        };
        let intervals = 4_000;
        let step = 60.0 / f64::from(intervals);
        let value = |n: i32| {
            let rate = (-30.0 + f64::from(n) * step).exp();
            gamma(p * x, rate * x, mean) * gamma(q, v, rate) * rate
        };
        let weight = |n: i32| match n % 2 {
            1 => 4.0,
            _ if n == 0 || n == intervals => 1.0,
            _ => 2.0,
        };
        (0..=intervals).map(|n| weight(n) * value(n)).sum::<f64>() * step / 3.0
    }

    #[test]
    fn likelihood_and_slopes_are_those_of_averages_and_small_differences() {
        let buyer = |frequency, repeat_revenue| BuyerPurchases {
            purchases: Purchases { frequency, recency_weeks: 0.0, age_weeks: 0.0 },
            repeat_revenue,
        };
        let buyers =
            [buyer(1, 700), buyer(1, 30), buyer(4, 2_500), buyer(20, 9_000), buyer(0, 0), buyer(2, -5)];
        let sample = ScaledMoney::new(&buyers);
        assert_eq!(sample.customers.len(), 4);
        for parameters in [[6.25, 3.74, 1.544], [0.7, 1.5, 0.8], [2.0, 12.0, 9.0]] {
            let logs = parameters.map(f64::ln);
            let point = sample.surface().point(logs);
            let naive: f64 = sample
                .customers
                .iter()
                .map(|RepeatMoney { x, sum }| averaged_density(parameters, *x, sum / x).ln())
                .sum();
            assert!(
                (point.log_likelihood - naive).abs() < 1e-9 * naive.abs(),
                "{naive} {}",
                point.log_likelihood
            );
            for i in 0..3 {
                let step = 1e-5;
                let [below, above] = [-step, step].map(|step| {
                    let mut logs = logs;
                    logs[i] += step;
                    sample.surface().point(logs)
                });
                let slope = (above.log_likelihood - below.log_likelihood) / (2.0 * step);
                assert!((point.gradient[i] - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{i}");
                for j in 0..3 {
                    let bend = (above.gradient[j] - below.gradient[j]) / (2.0 * step);
                    assert!((point.hessian[i][j] - bend).abs() < 1e-7 * (1.0 + bend.abs()), "{i} {j}");
                }
            }
        }
    }
}
