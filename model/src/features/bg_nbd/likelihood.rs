//! The likelihood of one customer's purchases, and its derivatives by the parameters.

use super::{BgNbd, Purchases};
use crate::newton::Derivatives;

impl BgNbd {
    /// ln L(r, α, a, b | x, t_x, T) (equation 6). The time it takes is proportional to x.
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
    pub(super) fn log_odds_of_having_left(&self, purchases: &Purchases) -> f64 {
        if purchases.frequency == 0 {
            return f64::NEG_INFINITY;
        }
        let silence = purchases.age_weeks - purchases.recency_weeks;
        (self.a / (self.b + purchases.x() - 1.0)).ln()
            + (self.r + purchases.x()) * (silence / (self.alpha + purchases.recency_weeks)).ln_1p()
    }
}

/// ln Γ(z+n)/Γ(z) = ln z + ln(z+1) + … + ln(z+n−1) and its derivatives by z, growing with n.
/// Differences of ln Γ would lose digits.
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

/// The likelihood of customers who come in rising order of frequency: what depends on the frequency alone
/// is carried on from one to the next.
pub(super) struct Likelihood {
    model: BgNbd,
    r: Rising,
    b: Rising,
    both: Rising,
}

impl Likelihood {
    pub(super) fn new(model: BgNbd) -> Self {
        let BgNbd { r, a, b, .. } = model;
        Self { model, r: Rising::new(r), b: Rising::new(b), both: Rising::new(a + b) }
    }

    /// The derivatives of the next customer, by r, α, a and b.
    pub(super) fn next(&mut self, purchases: &Purchases) -> Derivatives<4> {
        let BgNbd { r, alpha, .. } = self.model;
        let shape = r + purchases.x();
        for rising in [&mut self.r, &mut self.b, &mut self.both] {
            rising.grow_to(purchases.frequency);
        }
        let age = purchases.age_weeks;
        let rate = 1.0 / (alpha + age);
        let mut found = Derivatives {
            log_likelihood: self.r.log + self.b.log - self.both.log
                + self.model.log_likelihood_of_times(purchases),
            slope: [
                self.r.slope - (age / alpha).ln_1p(),
                r / alpha - shape * rate,
                -self.both.slope,
                self.b.slope - self.both.slope,
            ],
            ..Derivatives::default()
        };
        found.bend[0][0] = self.r.bend;
        found.bend[1][0] = 1.0 / alpha - rate;
        found.bend[1][1] = shape * rate * rate - r / (alpha * alpha);
        found.bend[2][2] = -self.both.bend;
        found.bend[3][2] = -self.both.bend;
        found.bend[3][3] = self.b.bend - self.both.bend;
        if purchases.frequency > 0 {
            self.add_having_left(purchases, &mut found);
        }
        found
    }

    /// Adds the derivatives of ln(1 + exp(o)), o being the log-odds of having left.
    fn add_having_left(&self, purchases: &Purchases, found: &mut Derivatives<4>) {
        let BgNbd { r, alpha, a, b } = self.model;
        let (x, age) = (purchases.x(), purchases.age_weeks);
        let (shape, rate) = (r + x, 1.0 / (alpha + age));
        // The slope of ln(1 + exp(o)) by o.
        let left = 1.0 / (1.0 + (-self.model.log_odds_of_having_left(purchases)).exp());
        let last = 1.0 / (alpha + purchases.recency_weeks);
        let survived = 1.0 / (b + x - 1.0);
        let odds_slope =
            [((age - purchases.recency_weeks) * last).ln_1p(), shape * (rate - last), 1.0 / a, -survived];
        for i in 0..4 {
            found.slope[i] += left * odds_slope[i];
            for j in 0..=i {
                found.bend[i][j] += left * (1.0 - left) * odds_slope[i] * odds_slope[j];
            }
        }
        found.bend[1][0] += left * (rate - last);
        found.bend[1][1] += left * shape * (last * last - rate * rate);
        found.bend[2][2] -= left / (a * a);
        found.bend[3][3] += left * survived * survived;
    }
}
