//! The predictive interval of what a customer will bring: the law of the number of purchases, and given that number the
//! law of their money.

use super::{BuyerPurchases, ValueModel, spec::WEEK};
use crate::special::{beta_prime_cdf, digamma_and_trigamma, gamma_cdf, ln_beta, ln_gamma};

/// What lies below and above the 95 % interval.
const TAILS: [f64; 2] = [0.025, 0.975];
/// Numbers of purchases less probable than this are left out.
const NEGLIGIBLE: f64 = 1e-15;
/// A step of the search for a quantile that is shorter than this, in standard deviations, is the last: the error after
/// it is about its cube.
const SMALL_STEP: f64 = 1e-4;
/// The greatest shape of the money of a purchase day, at which its standard deviation is 1 % of its mean: days that bring
/// exactly the same count like those that nearly do.
const GREATEST_SHAPE: f64 = 1e4;

impl ValueModel {
    /// The 95 % predictive interval of the discounted profit that a buyer will bring in the horizon, in minor units: of
    /// the customer, not of the mean. From 0 when it will bring nothing with 2.5 % probability or more. None when there is
    /// no usable BG/NBD model, or when more than 100,000 purchases are to be expected.
    #[must_use]
    pub fn interval(&self, buyer: &BuyerPurchases) -> Option<[f64; 2]> {
        let law = MoneyLaw::new(self, buyer)?;
        Some(TAILS.map(|share| law.unit * law.quantile(share)))
    }

    /// The shape of the gamma distribution with the mean and the variance of the money of a purchase day.
    fn plain_money_shape(&self) -> f64 {
        let shape = self.mean_money * self.mean_money / self.money_variance;
        // Without money or without a variance the quotient is no positive number.
        if shape > 0.0 { shape.min(GREATEST_SHAPE) } else { GREATEST_SHAPE }
    }

    /// Whether what came, discounted like the value, is within [`ValueModel::interval`].
    #[must_use]
    pub fn contains(&self, buyer: &BuyerPurchases, actual: f64) -> Option<bool> {
        Some(MoneyLaw::new(self, buyer)?.contains(actual))
    }
}

/// The law of the money of the horizon, as a multiple of a unit of money.
struct MoneyLaw {
    /// What the multiple is of, in minor units.
    unit: f64,
    /// The probability that no purchase is made.
    none: f64,
    /// The probabilities of 1, 2, … purchases, the negligible ones left out.
    some: Vec<Purchases>,
    /// The second parameter of the beta prime distributions; None for gamma distributions, without a model of the money.
    q: Option<f64>,
}

/// That a number of purchases is made.
struct Purchases {
    probability: f64,
    /// The first parameter a of the beta prime distribution of their money, and ln B(a, q); or the shape a of the gamma
    /// distribution, and ln Γ(a).
    shape: f64,
    ln_constant: f64,
}

impl MoneyLaw {
    /// Given the customer's history, its rate ν is gamma distributed with px + q and v + x·m. Given ν, n purchases bring
    /// a gamma distributed sum with pn and ν. So the sum is v + x·m times a beta prime variable with pn and px + q.
    /// Without a model of the money, each purchase day of everybody brings gamma distributed money with the mean and the
    /// variance of all purchase days, so that n of them bring a gamma distributed sum with n times the shape.
    /// All of it is discounted by the mean factor of the expected purchases.
    fn new(model: &ValueModel, buyer: &BuyerPurchases) -> Option<Self> {
        let weeks = f64::from(model.spec.horizon_days) / WEEK;
        let probabilities = model.usable_bg_nbd()?.purchase_probabilities(&buyer.purchases, weeks)?;
        let expected = model.expected_if_active(&buyer.purchases)?;
        let factor = model.margin_rate * expected.discounted / expected.purchases;
        let gamma_gamma = model.gamma_gamma.problem.is_none().then_some(model.gamma_gamma.model);
        let [x, sum] = buyer.repeat_money();
        let q = gamma_gamma.map(|money| money.p * x + money.q);
        let plain_shape = model.plain_money_shape();
        let (shape_of_one, unit) = match gamma_gamma {
            Some(money) => (money.p, money.v + sum),
            None => (plain_shape, model.mean_money / plain_shape),
        };
        let law = |(count, probability): (usize, &f64)| {
            let shape = shape_of_one * count as f64;
            let ln_constant = q.map_or_else(|| ln_gamma(shape), |q| ln_beta(shape, q));
            Purchases { probability: *probability, shape, ln_constant }
        };
        let counted = probabilities.iter().enumerate().skip(1).filter(|(_, share)| **share > NEGLIGIBLE);
        Some(Self { unit: factor * unit, none: probabilities[0], some: counted.map(law).collect(), q })
    }

    /// The least multiple of the unit up to which the money is with a probability of `share`.
    fn quantile(&self, share: f64) -> f64 {
        let some = share - self.none;
        if some <= 0.0 || self.some.is_empty() { 0.0 } else { self.search(some).exp() }
    }

    /// Whether an amount is within the quantiles.
    fn contains(&self, amount: f64) -> bool {
        let [low, high] = TAILS;
        if amount <= 0.0 {
            return amount == 0.0 && (self.none >= low || self.unit == 0.0);
        }
        if self.unit == 0.0 || self.some.is_empty() {
            return false;
        }
        let share = self.none + self.at((amount / self.unit).ln()).cdf;
        (low..=high).contains(&share)
    }

    /// The probability that there is money, but at most exp(`log`) units, with its first two derivatives by `log`.
    fn at(&self, log: f64) -> Point {
        let amount = log.exp();
        // ln z and ln(1 − z), z = amount/(1 + amount).
        let (log_share, log_rest) = (-(-log).exp().ln_1p(), -amount.ln_1p());
        let z = amount / (1.0 + amount);
        let mut point = Point { cdf: 0.0, slope: 0.0, bend: 0.0 };
        for Purchases { probability, shape, ln_constant } in &self.some {
            // The probability, the density by the logarithm, and the relative slope of that.
            let [cdf, density, slope] = match self.q {
                Some(q) => {
                    let density = (shape * log_share + q * log_rest - ln_constant).exp();
                    [beta_prime_cdf(*shape, q, amount, density), density, shape * (1.0 - z) - q * z]
                }
                None => {
                    let density = (shape * log - amount - ln_constant).exp();
                    [gamma_cdf(*shape, amount, density), density, shape - amount]
                }
            };
            point.cdf += probability * cdf;
            point.slope += probability * density;
            point.bend += probability * density * slope;
        }
        point
    }

    /// The logarithm of the amount up to which there is money with a probability of `some` in all, by Halley's method on
    /// the logarithm of the smaller of the two probabilities, within the bounds found so far.
    fn search(&self, some: f64) -> f64 {
        let total: f64 = self.some.iter().map(|purchases| purchases.probability).sum();
        let [mean, deviation] = self.log_moments(total);
        let is_lower = some < total / 2.0;
        let tail = if is_lower { some } else { (total - some).max(f64::MIN_POSITIVE) };
        let sign = if is_lower { -1.0 } else { 1.0 };
        let mut log = mean + sign * deviation * normal_quantile(tail / total);
        let [mut low, mut high] = [f64::NEG_INFINITY, f64::INFINITY];
        for _ in 0..100 {
            let point = self.at(log);
            if point.cdf < some {
                low = log;
            } else {
                high = log;
            }
            let share = if is_lower { point.cdf } else { total - point.cdf };
            // The logarithm of the probability, and its derivatives away from the middle.
            let excess = (share / tail).ln();
            let slope = -sign * point.slope / share;
            let bend = -sign * point.bend / share - slope * slope;
            let newton = -excess / slope;
            let step = newton / (1.0 + newton * bend / (2.0 * slope)).clamp(0.5, 2.0);
            if step.abs() < SMALL_STEP * deviation {
                log += step;
                break;
            }
            let next = log + step.clamp(-3.0 * deviation - 1.0, 3.0 * deviation + 1.0);
            // Between the steps of a law that is nearly discrete the slope is almost 0, and the step overshoots.
            log = if low < next && next < high {
                next
            } else {
                low.max(log - 5.0 * deviation).midpoint(high.min(log + 5.0 * deviation))
            };
        }
        log
    }

    /// Mean and standard deviation of the logarithm of the money when there is some.
    fn log_moments(&self, total: f64) -> [f64; 2] {
        let (mut mean, mut square) = (0.0, 0.0);
        for purchases in &self.some {
            let [log, variance] = digamma_and_trigamma(purchases.shape);
            mean += purchases.probability / total * log;
            square += purchases.probability / total * (variance + log * log);
        }
        let [log, variance] = self.q.map_or([0.0, 0.0], digamma_and_trigamma);
        [mean - log, (square - mean * mean + variance).max(variance).sqrt()]
    }
}

/// A distribution function at a point, and its derivatives.
struct Point {
    cdf: f64,
    slope: f64,
    bend: f64,
}

/// How many standard deviations above its mean a normal variable is with probability `tail`, at most ½, to 0.0005
/// (Abramowitz and Stegun 26.2.23).
fn normal_quantile(tail: f64) -> f64 {
    let t = (-2.0 * tail.ln()).sqrt();
    t - (2.515_517 + t * (0.802_853 + t * 0.010_328))
        / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)))
}
