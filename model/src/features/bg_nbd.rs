//! The BG/NBD model of repeat purchases: Fader, Hardie and Lee (2005), "'Counting Your Customers' the
//! Easy Way: An Alternative to the Pareto/NBD Model", Marketing Science 24(2), 275–284.
//!
//! While active, a customer buys at random moments with a rate λ of their own; after each purchase
//! they leave for good with a probability p of their own. Over the customers λ is gamma distributed
//! with shape r and rate α, p beta distributed with a and b, independent of each other. All that
//! counts of a history is how often, how lately and for how long: [`Purchases`].
//!
//! On the CDNOW sample (2,357 customers, 39 weeks) the paper's table 2 gives r = 0.243, α = 4.414,
//! a = 0.793, b = 2.426 and a log-likelihood of −9,582.4.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::{
    history::{History, kind},
    linear::Cholesky,
    time::Time,
};

/// The least and the greatest value of a parameter. Whatever runs here has no optimum of its own.
const LEAST: f64 = 1e-5;
const GREATEST: f64 = 1e5;
/// The fewest customers with a repeat purchase that four parameters are fitted to.
const FEWEST_REPEAT_BUYERS: usize = 10;
/// Where the climbs start: r, a and b; α follows from the mean rate of purchases.
const STARTS: [[f64; 3]; 3] = [[0.5, 1.0, 4.0], [2.0, 0.3, 3.0], [0.2, 3.0, 3.0]];
/// Newton steps of one climb; some ten are usual.
const STEPS: usize = 200;
/// A Newton step that changes no parameter by more than this share is the last one: the next would
/// be its square.
const SMALL_STEP: f64 = 1e-5;
/// How far the gradient by the logarithm of a parameter may be from 0, per customer.
const TOLERANCE: f64 = 1e-8;
/// Above this z = t/(α+T+t) the series of [`expected_by_series`] takes too many terms.
const SERIES_MOST_Z: f64 = 0.95;
/// Above this the first term of the series would be less than the smallest `f64`.
const SERIES_MOST_EXPONENT: f64 = 600.0;

/// What the model looks at in a customer's history. Purchases on one day count as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Purchases {
    /// x: the number of UTC days with a purchase, less the first.
    pub frequency: u32,
    /// t_x: weeks from the first day with a purchase to the last, in whole days.
    pub recency_weeks: f64,
    /// T: weeks from the first day with a purchase to the day of `as_of`, in whole days.
    pub age_weeks: f64,
}

impl Purchases {
    /// Those that had happened at `as_of` and were known at `known_at`; None of a lead.
    #[must_use]
    pub fn of(history: &History, as_of: Time, known_at: Time) -> Option<Self> {
        let purchase = history.kind_slot(kind::PURCHASE)?;
        let visible = history.visible(as_of, known_at).filter(|event| event.kind == purchase);
        let mut times = visible.map(|event| event.occur_time);
        let first = times.next()?;
        let (mut last, mut days) = (first, 1);
        for time in times {
            days += u32::from(time.day_number() > last.day_number());
            last = time;
        }
        Some(Self::new(days, first, last, as_of))
    }

    /// Those of a buyer who bought on so many days, from `first` to `last`, up to `as_of`.
    #[must_use]
    pub fn new(days: u32, first: Time, last: Time, as_of: Time) -> Self {
        let weeks_until = |time: Time| (time.day_number() - first.day_number()) as f64 / 7.0;
        let (recency_weeks, age_weeks) = (weeks_until(last), weeks_until(as_of));
        Self { frequency: days.saturating_sub(1), recency_weeks, age_weeks }
    }

    /// x as a number.
    fn x(&self) -> f64 {
        f64::from(self.frequency)
    }
}

/// The parameters, each in [1e-5, 1e5].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgNbd {
    /// r: the shape of the purchase rates; the smaller, the more they differ.
    pub r: f64,
    /// α, in weeks: the mean rate is r/α purchases a week.
    pub alpha: f64,
    /// a: the mean probability to leave after a purchase is a/(a+b).
    pub a: f64,
    /// b, see `a`.
    pub b: f64,
}

impl BgNbd {
    /// Whether all parameters lie where they must, which all that follows relies on.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.parameters().iter().all(|parameter| (LEAST..=GREATEST).contains(parameter))
    }

    /// ln L(r, α, a, b | x, t_x, T) (equation 6). Takes time in proportion to x.
    #[must_use]
    pub fn log_likelihood(&self, purchases: &Purchases) -> f64 {
        let [r, b, both] = [self.r, self.b, self.a + self.b].map(|base| {
            let mut rising = Rising::new(base);
            rising.grow_to(purchases.frequency);
            rising.log
        });
        r + b - both + self.log_likelihood_of_times(purchases)
    }

    /// The part of the log-likelihood that is not Γ(r+x)/Γ(r) · B(a, b+x)/B(a, b):
    /// ln[α^r/(α+T)^(r+x)·(1 + odds of having left)].
    fn log_likelihood_of_times(&self, purchases: &Purchases) -> f64 {
        let age = purchases.age_weeks;
        let left = self.log_odds_of_having_left(purchases);
        let either = left.max(0.0) + (-left.abs()).exp().ln_1p();
        either - self.r * (age / self.alpha).ln_1p() - purchases.x() * (self.alpha + age).ln()
    }

    /// The logarithm of a/(b+x−1)·((α+T)/(α+t_x))^(r+x), the ratio of the two terms of the
    /// likelihood. −∞ without a repeat purchase: one leaves only after a purchase that the model counts.
    fn log_odds_of_having_left(&self, purchases: &Purchases) -> f64 {
        if purchases.frequency == 0 {
            return f64::NEG_INFINITY;
        }
        let silence = purchases.age_weeks - purchases.recency_weeks;
        (self.a / (self.b + purchases.x() - 1.0)).ln()
            + (self.r + purchases.x()) * (silence / (self.alpha + purchases.recency_weeks)).ln_1p()
    }

    /// The probability that the customer has not left by T (Fader and Hardie 2008, "Computing
    /// P(alive) Using the BG/NBD Model"). 1 without a repeat purchase, however long ago the first one
    /// is: to rank customers, use [`BgNbd::probability_of_none`].
    #[must_use]
    pub fn probability_alive(&self, purchases: &Purchases) -> f64 {
        1.0 / (1.0 + self.log_odds_of_having_left(purchases).exp())
    }

    /// The expected number of purchases in (T, T + `weeks`] (equation 10); `weeks` ≥ 0.
    ///
    /// Equation 10 as printed is 0/0 at a = 1, meets a pole of ₂F₁ at a + b + x = 1, and cancels near both.
    /// Here it is taken one step back. The likelihood of being active at T is λˣ·exp(−λT)·(1−p)ˣ: given
    /// that, λ is gamma distributed with r + x and α + T, p is beta distributed with a and b + x, and
    /// the expectation is the mean of (1 − exp(−λ·p·t))/p (equation 8) over both, a sum of positive terms.
    #[must_use]
    pub fn expected_purchases(&self, purchases: &Purchases, weeks: f64) -> f64 {
        let (shape, b) = (self.r + purchases.x(), self.b + purchases.x());
        let ratio = weeks / (self.alpha + purchases.age_weeks);
        let by_series =
            ratio / (1.0 + ratio) <= SERIES_MOST_Z && shape * ratio.ln_1p() <= SERIES_MOST_EXPONENT;
        let method = if by_series { expected_by_series } else { expected_by_quadrature };
        self.probability_alive(purchases) * method(self.a, b, shape, ratio)
    }

    /// The probability of no purchase in (T, T + `weeks`]; `weeks` ≥ 0.
    ///
    /// Either the customer has left, or is active and the next purchase comes later. Given the latter, λ is
    /// gamma distributed with r + x and α + T, over which exp(−λ·t) has the mean ((α+T)/(α+T+t))^(r+x).
    #[must_use]
    pub fn probability_of_none(&self, purchases: &Purchases, weeks: f64) -> f64 {
        let silent = (self.r + purchases.x()) * (weeks / (self.alpha + purchases.age_weeks)).ln_1p();
        // Not one minus the other, which would lose the small ones.
        let left = 1.0 / (1.0 + (-self.log_odds_of_having_left(purchases)).exp());
        (left + self.probability_alive(purchases) * (-silent).exp()).min(1.0)
    }

    /// Fits to `customers` by maximum likelihood, whatever order they come in.
    #[must_use]
    pub fn fit(customers: &[Purchases]) -> Fitted {
        let groups = Groups::new(customers);
        let too_few = (groups.repeat_buyers() < FEWEST_REPEAT_BUYERS).then(|| {
            format!(
                "{} of {} customers bought on more than one day; need {FEWEST_REPEAT_BUYERS}",
                groups.repeat_buyers(),
                customers.len()
            )
        });
        let climbs = groups.starts().map(|start| match &too_few {
            None => groups.climb(start),
            Some(_) => Climb { place: groups.place(start), steps: 0, settled: false },
        });
        let [first, others @ ..] = climbs;
        let best = others.into_iter().fold(first, |best, climb| {
            if climb.place.log_likelihood > best.place.log_likelihood { climb } else { best }
        });
        let gradient = best.place.gradient.iter().fold(0.0, |greatest: f64, slope| greatest.max(slope.abs()))
            / customers.len().max(1) as f64;
        Fitted {
            model: best.place.model,
            customers: customers.len(),
            log_likelihood: best.place.log_likelihood,
            iterations: best.steps,
            gradient,
            problem: too_few.or_else(|| best.problem(gradient)),
        }
    }

    fn parameters(&self) -> [f64; 4] {
        [self.r, self.alpha, self.a, self.b]
    }
}

/// E[(1 − exp(−λ·p·t))/p] over λ ~ gamma(`shape`, A), p ~ beta(a, b), for `ratio` = t/A.
///
/// Of a customer who never leaves, the number N of purchases in t is negative binomial; the (k+1)-th
/// is made by those who have not left after k, (b)ₖ/(a+b)ₖ of them: Σₙ P(N = n)·Σ_{k<n} (b)ₖ/(a+b)ₖ.
/// The sum over n converges like the ₂F₁ of equation 10, as zⁿ with z = t/(A+t).
fn expected_by_series(a: f64, b: f64, shape: f64, ratio: f64) -> f64 {
    let z = ratio / (1.0 + ratio);
    let mut probability = (-shape * ratio.ln_1p()).exp();
    let (mut survival, mut purchases, mut sum) = (1.0, 0.0, 0.0);
    let mut n = 0.0;
    loop {
        probability *= (shape + n) / (n + 1.0) * z;
        purchases += survival;
        survival *= (b + n) / (a + b + n);
        n += 1.0;
        let term = probability * purchases;
        sum += term;
        // No later term is a greater part of the one before.
        let shrinks = z * ((shape + n) / (n + 1.0)).max(1.0) * (1.0 + 1.0 / n);
        let more_counts = shrinks >= 1.0 || term * shrinks > f64::EPSILON * sum * (1.0 - shrinks);
        if !more_counts {
            return sum;
        }
    }
}

/// The same by the trapezoidal rule over y = ln(p/(1−p)), which converges exponentially: the
/// integrand is analytic for |Im y| < π and bounded for |Im y| ≤ π/2, whatever the arguments.
/// Slower, but for z near 1 and for thousands of purchases no slower than elsewhere.
fn expected_by_quadrature(a: f64, b: f64, shape: f64, ratio: f64) -> f64 {
    // ln(1 + exp(y)) without overflow.
    let softplus = |y: f64| y.max(0.0) + (-y.abs()).exp().ln_1p();
    let log_weight = |y: f64| -a * softplus(-y) - b * softplus(y);
    let peak = (a / b).ln();
    let step = (0.6 * (1.0 / a + 1.0 / b).sqrt()).min(0.25);
    let at = |y: f64| {
        let p = (-softplus(-y)).exp();
        let weight = (log_weight(y) - log_weight(peak)).exp();
        (weight, weight * -(-shape * (p * ratio).ln_1p()).exp_m1() / p)
    };
    let most = shape * ratio;
    let (mut weights, mut sum) = at(peak);
    // Beyond these ends p or 1 − p is so small that the integrand is a plain exponential function, whose
    // infinitely many nodes are a geometric series.
    let ends = [(-1.0, a, 40.0 + b.max(most).max(1.0).ln()), (1.0, b, 40.0 + a.max(1.0).ln())];
    for (side, decay, end) in ends {
        let mut y = peak;
        loop {
            y += side * step;
            let (weight, value) = at(y);
            let beyond = if y * side > end { 1.0 / (decay * step).exp_m1() } else { 0.0 };
            weights += weight * (1.0 + beyond);
            sum += value * (1.0 + beyond);
            // (1 − (1+p·t/A)^(−shape))/p is at most shape·t/A.
            if y * side > end || weight * most.max(1.0) <= 1e-18 * sum.min(weights) {
                break;
            }
        }
    }
    sum / weights
}

/// The outcome of [`BgNbd::fit`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fitted {
    /// The best parameters found; the maximum of the likelihood only if [`Fitted::converged`].
    pub model: BgNbd,
    /// Customers that it was fitted to.
    pub customers: usize,
    /// The sum of their log-likelihoods.
    pub log_likelihood: f64,
    /// Newton steps that led here.
    pub iterations: usize,
    /// The greatest slope of the log-likelihood by the logarithm of a parameter, per customer.
    pub gradient: f64,
    /// Why these parameters are not the maximum, if they are not.
    pub problem: Option<String>,
}

impl Fitted {
    /// Whether the parameters are the maximum of the likelihood.
    #[must_use]
    pub const fn converged(&self) -> bool {
        self.problem.is_none()
    }

    /// Whether the parameters are the best of those allowed, though perhaps not the maximum: a sample
    /// in which nobody seems to leave has b run to its bound, and is described well all the same.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        self.iterations > 0 && self.log_likelihood.is_finite()
    }
}

/// ln Γ(z+n)/Γ(z) = ln z + ln(z+1) + … + ln(z+n−1) and its derivatives by z, growing with n.
/// Differences of ln Γ would cancel.
struct Rising {
    base: f64,
    n: u32,
    log: f64,
    slope: f64,
    bend: f64,
}

impl Rising {
    const fn new(base: f64) -> Self {
        Self { base, n: 0, log: 0.0, slope: 0.0, bend: 0.0 }
    }

    fn grow_to(&mut self, n: u32) {
        while self.n < n {
            let factor = self.base + f64::from(self.n);
            self.log += factor.ln();
            self.slope += 1.0 / factor;
            self.bend -= 1.0 / (factor * factor);
            self.n += 1;
        }
    }
}

/// The customers, equal ones together, in one order however they came.
struct Groups(Vec<(Purchases, f64)>);

impl Groups {
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

    /// The logarithms of the parameters to start from.
    fn starts(&self) -> [[f64; 4]; STARTS.len()] {
        let total = |value: fn(&Purchases) -> f64| {
            self.0.iter().map(|(purchases, count)| count * value(purchases)).sum::<f64>().max(1.0)
        };
        let weeks_a_purchase = total(|purchases| purchases.age_weeks) / total(Purchases::x);
        STARTS.map(|[r, a, b]| [r, r * weeks_a_purchase, a, b].map(|value| value.clamp(LEAST, GREATEST).ln()))
    }

    /// Climbs to a maximum of the log-likelihood: Newton's method on the logarithms of the
    /// parameters, damped where the surface does not bend downwards, inside the bounds.
    fn climb(&self, start: [f64; 4]) -> Climb {
        let mut place = self.place(start);
        for steps in 1..=STEPS {
            let Some((step, damped)) = place.step(self.customers()) else {
                return Climb { place, steps, settled: false };
            };
            let longest = step.iter().fold(0.0, |longest: f64, part| longest.max(part.abs()));
            if longest <= SMALL_STEP && !damped {
                // So near the top the likelihood is flat to the last digit, and only the slope counts.
                return Climb { place: self.place(place.moved(step, 1.0)), steps, settled: true };
            }
            // A step multiplies or divides a parameter by e at most.
            let lengths = (0..40).map(|halving| 0.5_f64.powi(halving) / longest.max(1.0));
            let higher = lengths
                .map(|length| self.place(place.moved(step, length)))
                .find(|next| next.log_likelihood > place.log_likelihood);
            match higher {
                Some(next) => place = next,
                None => return Climb { place, steps, settled: false },
            }
        }
        Climb { place, steps: STEPS, settled: false }
    }

    fn customers(&self) -> f64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The log-likelihood and its derivatives by the logarithms of the parameters.
    fn place(&self, logs: [f64; 4]) -> Place {
        let [r, alpha, a, b] = logs.map(|log| log.exp().clamp(LEAST, GREATEST));
        let model = BgNbd { r, alpha, a, b };
        let (mut rising_r, mut rising_b, mut rising_both) =
            (Rising::new(r), Rising::new(b), Rising::new(a + b));
        let mut log_likelihood = 0.0;
        let mut slope = [0.0; 4];
        let mut bend = [[0.0; 4]; 4];
        for (purchases, count) in &self.0 {
            let (x, age) = (purchases.x(), purchases.age_weeks);
            let shape = r + x;
            rising_r.grow_to(purchases.frequency);
            rising_b.grow_to(purchases.frequency);
            rising_both.grow_to(purchases.frequency);
            log_likelihood += count
                * (rising_r.log + rising_b.log - rising_both.log + model.log_likelihood_of_times(purchases));
            let rate = 1.0 / (alpha + age);
            let mut one_slope = [
                rising_r.slope - (age / alpha).ln_1p(),
                r / alpha - shape * rate,
                -rising_both.slope,
                rising_b.slope - rising_both.slope,
            ];
            let mut one_bend = [[0.0; 4]; 4];
            one_bend[0][0] = rising_r.bend;
            one_bend[1][0] = 1.0 / alpha - rate;
            one_bend[1][1] = shape * rate * rate - r / (alpha * alpha);
            one_bend[2][2] = -rising_both.bend;
            one_bend[3][2] = -rising_both.bend;
            one_bend[3][3] = rising_b.bend - rising_both.bend;
            if purchases.frequency > 0 {
                // With o the log-odds of having left: ln(1 + exp(o)) has the slope `left`.
                let left = 1.0 / (1.0 + (-model.log_odds_of_having_left(purchases)).exp());
                let last = 1.0 / (alpha + purchases.recency_weeks);
                let survived = 1.0 / (b + x - 1.0);
                let odds_slope = [
                    ((age - purchases.recency_weeks) * last).ln_1p(),
                    shape * (rate - last),
                    1.0 / a,
                    -survived,
                ];
                for i in 0..4 {
                    one_slope[i] += left * odds_slope[i];
                    for j in 0..=i {
                        one_bend[i][j] += left * (1.0 - left) * odds_slope[i] * odds_slope[j];
                    }
                }
                one_bend[1][0] += left * (rate - last);
                one_bend[1][1] += left * shape * (last * last - rate * rate);
                one_bend[2][2] -= left / (a * a);
                one_bend[3][3] += left * survived * survived;
            }
            for i in 0..4 {
                slope[i] += count * one_slope[i];
                for j in 0..=i {
                    bend[i][j] += count * one_bend[i][j];
                }
            }
        }
        // By the logarithms.
        let parameters = model.parameters();
        let gradient = std::array::from_fn(|i| parameters[i] * slope[i]);
        let hessian = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                let own = if i == j { gradient[i] } else { 0.0 };
                parameters[i] * parameters[j] * bend[i.max(j)][i.min(j)] + own
            })
        });
        Place { logs, model, log_likelihood, gradient, hessian }
    }
}

/// A point on the surface, in logarithms of the parameters.
struct Place {
    logs: [f64; 4],
    model: BgNbd,
    log_likelihood: f64,
    gradient: [f64; 4],
    hessian: [[f64; 4]; 4],
}

impl Place {
    fn moved(&self, step: [f64; 4], length: f64) -> [f64; 4] {
        std::array::from_fn(|i| (self.logs[i] + length * step[i]).clamp(LEAST.ln(), GREATEST.ln()))
    }

    /// Whether the likelihood rises beyond the bound that parameter `i` stands at.
    fn is_held(&self, i: usize) -> bool {
        (self.logs[i] <= LEAST.ln() && self.gradient[i] <= 0.0)
            || (self.logs[i] >= GREATEST.ln() && self.gradient[i] >= 0.0)
    }

    /// A step upwards in all parameters that no bound holds, and whether it had to be damped. None where
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

/// Where a climb ended.
struct Climb {
    place: Place,
    steps: usize,
    settled: bool,
}

impl Climb {
    /// Why this is no maximum.
    fn problem(&self, gradient: f64) -> Option<String> {
        let place = &self.place;
        let bounded: Vec<String> = ["r", "alpha", "a", "b"]
            .iter()
            .zip(place.logs.iter().zip(place.model.parameters()))
            .filter(|(_, (log, _))| **log <= LEAST.ln() || **log >= GREATEST.ln())
            .map(|(name, (_, value))| format!("{name} = {value:e}"))
            .collect();
        if !place.log_likelihood.is_finite() {
            Some("the likelihood is not finite".to_owned())
        } else if !bounded.is_empty() {
            Some(format!("no maximum inside the bounds: {}", bounded.join(", ")))
        } else if !self.settled || gradient > TOLERANCE {
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
    fn series_and_quadrature_agree() {
        for a in [1e-5, 0.1, 0.999_999, 1.0, 4.0, 300.0, 1e5] {
            for b in [1e-5, 0.2, 3.0, 70.0, 1e5] {
                for shape in [1e-5, 0.3, 1.0, 20.0, 400.0] {
                    for ratio in [1e-9, 1e-3, 0.3, 3.0, 18.0] {
                        if shape * f64::ln_1p(ratio) > SERIES_MOST_EXPONENT {
                            continue;
                        }
                        let [one, other] = [expected_by_series, expected_by_quadrature]
                            .map(|method| method(a, b, shape, ratio));
                        assert!(
                            (one / other - 1.0).abs() < 1e-10,
                            "a {a}, b {b}, shape {shape}, ratio {ratio}: {one} {other}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn slopes_are_those_of_small_differences() {
        let customer =
            |frequency, recency_weeks, age_weeks| Purchases { frequency, recency_weeks, age_weeks };
        let customers =
            [customer(0, 0.0, 9.0), customer(1, 2.0, 30.0), customer(7, 25.0, 27.0), customer(7, 25.0, 27.0)];
        let groups = Groups::new(&customers);
        assert_eq!(groups.0.len(), 3);
        for parameters in [[0.3, 4.0, 0.8, 2.5], [5.0, 0.2, 0.1, 0.3], [0.05, 40.0, 9.0, 20.0]] {
            let logs = parameters.map(f64::ln);
            let place = groups.place(logs);
            let sum: f64 = customers.iter().map(|customer| place.model.log_likelihood(customer)).sum();
            assert!((place.log_likelihood - sum).abs() < 1e-12 * sum.abs());
            for i in 0..4 {
                let step = 1e-5;
                let [below, above] = [-step, step].map(|step| {
                    let mut logs = logs;
                    logs[i] += step;
                    groups.place(logs)
                });
                let slope = (above.log_likelihood - below.log_likelihood) / (2.0 * step);
                assert!((place.gradient[i] - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{i}");
                for j in 0..4 {
                    let bend = (above.gradient[j] - below.gradient[j]) / (2.0 * step);
                    assert!((place.hessian[i][j] - bend).abs() < 1e-7 * (1.0 + bend.abs()), "{i} {j}");
                }
            }
        }
    }
}
