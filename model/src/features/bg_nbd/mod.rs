//! The BG/NBD model of repeat purchases: Fader, Hardie and Lee (2005), "'Counting Your Customers' the
//! Easy Way: An Alternative to the Pareto/NBD Model", Marketing Science 24(2), 275–284.
//!
//! While active, a customer buys at random moments with a rate λ of its own; after each purchase it leaves
//! for good with a probability p of its own. Over the customers, λ is gamma distributed with shape r and rate
//! α, p is beta distributed with a and b, independent of each other. The history counts only by
//! frequency, recency and age: [`Purchases`].
//!
//! On the CDNOW sample (2,357 customers, 39 weeks) the paper's table 2 gives r = 0.243, α = 4.414,
//! a = 0.793, b = 2.426 and a log-likelihood of −9,582.4.
//!
//! The implementation is ours, since no Rust library has the model; the Python ones (lifetimes, PyMC-Marketing)
//! serve as references in the tests. It also stays finite where the printed formulas have poles, and fits
//! to the same bits on every machine and in any order of the customers.

mod expectation;
mod fit;
mod likelihood;
mod moments;
mod predictive;

use serde::{Deserialize, Serialize};

use self::expectation::expected_purchases;
use crate::{
    history::{History, kind},
    newton::{GREATEST, LEAST},
    time::Time,
};

pub use fit::BgNbdFit;
pub(crate) use moments::Dropouts;

/// The purchases of one customer as the model counts them. Purchases on one day count as one.
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
    /// The purchases that happened by `as_of` and were known at `known_at`; None for a lead.
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

    /// The purchases of a buyer who bought on `days` days, from `first` to `last`, seen at `as_of`.
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
    /// a: the mean probability of leaving after a purchase is a/(a+b).
    pub a: f64,
    /// b, see `a`.
    pub b: f64,
}

impl BgNbd {
    /// Whether all parameters are within their range, as the other methods require.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.parameters().iter().all(|parameter| (LEAST..=GREATEST).contains(parameter))
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
    /// So it is evaluated one step earlier. The likelihood of being active at T is λˣ·exp(−λT)·(1−p)ˣ: given
    /// that, λ is gamma distributed with r + x and α + T, p is beta distributed with a and b + x, and
    /// the expectation is the mean of (1 − exp(−λ·p·t))/p (equation 8) over both, a sum of positive terms.
    #[must_use]
    pub fn expected_purchases(&self, purchases: &Purchases, weeks: f64) -> f64 {
        let ratio = weeks / (self.alpha + purchases.age_weeks);
        self.probability_alive(purchases) * self.expected_if_active(purchases.frequency, ratio)
    }

    /// The expected number of purchases in t weeks of a customer who is active after `frequency` repeat purchases,
    /// for `ratio` = t/(α+T): it depends on t and T by this alone.
    pub(crate) fn expected_if_active(&self, frequency: u32, ratio: f64) -> f64 {
        let x = f64::from(frequency);
        expected_purchases(self.a, self.b + x, self.r + x, ratio)
    }

    /// The probability of no purchase in (T, T + `weeks`]; `weeks` ≥ 0.
    ///
    /// Either the customer has left, or it is active and its next purchase comes later. In the second case λ is
    /// gamma distributed with r + x and α + T, and the mean of exp(−λ·t) is ((α+T)/(α+T+t))^(r+x).
    #[must_use]
    pub fn probability_of_none(&self, purchases: &Purchases, weeks: f64) -> f64 {
        let silent = (self.r + purchases.x()) * (weeks / (self.alpha + purchases.age_weeks)).ln_1p();
        // Not 1 − P(alive), which would round small probabilities to 0.
        let left = 1.0 / (1.0 + (-self.log_odds_of_having_left(purchases)).exp());
        (left + self.probability_alive(purchases) * (-silent).exp()).min(1.0)
    }

    fn parameters(&self) -> [f64; 4] {
        [self.r, self.alpha, self.a, self.b]
    }
}
