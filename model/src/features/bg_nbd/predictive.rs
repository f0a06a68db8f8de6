//! The law of the number of purchases of a customer in the time to come.

use super::{BgNbd, Purchases};
use crate::special::ln_gamma;

/// Below this share of the greatest, a probability counts as 0.
const NEGLIGIBLE: f64 = 1e-18;
/// More purchases than this in the time asked for are beyond any sensible use: the parameters are at their bounds.
const MOST: f64 = 100_000.0;

impl BgNbd {
    /// The probabilities of 0, 1, 2, … purchases in (T, T + `weeks`], as far as they count; None when more than 100,000
    /// purchases count. `weeks` > 0.
    ///
    /// Given that the customer is active at T, λ is gamma distributed with r + x and α + T, p beta distributed with a and
    /// b + x. Without anybody leaving, the number would be negative binomial. There are n or more when that number is n or
    /// more and none of the first n − 1 purchases was the last, which has probability (b+x)ₙ₋₁/(a+b+x)ₙ₋₁. So
    /// P(N = n) is the difference, the same as equation 8 for a customer with a history, as a sum of positive terms.
    pub(crate) fn purchase_probabilities(&self, purchases: &Purchases, weeks: f64) -> Option<Vec<f64>> {
        let (shape, b) = (self.r + purchases.x(), self.b + purchases.x());
        let unlimited = negative_binomial(shape, weeks / (self.alpha + purchases.age_weeks))?;
        let alive = self.probability_alive(purchases);
        // Each probability of n or more, from the small ones on.
        let mut at_least = unlimited.clone();
        for n in (1..at_least.len()).rev() {
            at_least[n - 1] += at_least[n];
        }
        let total = at_least[0];
        // The share that has not left after n purchases.
        let mut survival = 1.0;
        let mut probabilities = Vec::with_capacity(unlimited.len());
        for (n, (exactly, at_least)) in unlimited.iter().zip(&at_least).enumerate() {
            let mut probability = 0.0;
            if n > 0 {
                let leaving = self.a / (self.a + b + n as f64 - 1.0);
                probability = survival * leaving * at_least;
                survival *= 1.0 - leaving;
            }
            probabilities.push(alive / total * (probability + survival * exactly));
        }
        // Not 1 − P(alive), which would round small probabilities to 0.
        probabilities[0] += 1.0 / (1.0 + (-self.log_odds_of_having_left(purchases)).exp());
        Some(probabilities)
    }
}

/// The probabilities Γ(shape+n)/(Γ(shape)·n!) · zⁿ·(1−z)^shape of 0, 1, 2, … for `ratio` = z/(1−z), up to a common
/// factor near 1. They are computed from the most probable number on, both ways.
fn negative_binomial(shape: f64, ratio: f64) -> Option<Vec<f64>> {
    let z = ratio / (1.0 + ratio);
    let mode = ((shape - 1.0) * ratio).floor().max(0.0);
    if mode > MOST {
        return None;
    }
    let greatest = (ln_gamma(shape + mode) - ln_gamma(shape) - ln_gamma(mode + 1.0) - shape * ratio.ln_1p()
        + if mode > 0.0 { mode * z.ln() } else { 0.0 })
    .exp();
    let mut probabilities = vec![0.0; mode as usize + 1];
    let mut probability = greatest;
    for n in (0..=mode as usize).rev() {
        probabilities[n] = probability;
        probability *= n as f64 / ((shape + n as f64 - 1.0) * z);
        if probability < NEGLIGIBLE * greatest {
            break;
        }
    }
    let (mut n, mut probability) = (mode, greatest);
    loop {
        probability *= (shape + n) / (n + 1.0) * z;
        n += 1.0;
        if probability < NEGLIGIBLE * greatest {
            return Some(probabilities);
        }
        if n > MOST {
            return None;
        }
        probabilities.push(probability);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_agree_with_the_chance_of_none_and_the_expectation() {
        for parameters in [[0.243, 4.414, 0.793, 2.426], [0.6, 7.0, 1.0, 2.5], [12.0, 9.0, 0.4, 0.6]] {
            let [r, alpha, a, b] = parameters;
            let model = BgNbd { r, alpha, a, b };
            for (frequency, recency_weeks, age_weeks) in [
                (0, 0.0, 0.0),
                (0, 0.0, 150.0),
                (2, 30.43, 38.86),
                (40, 41.0, 42.0),
                (3_000, 1_500.0, 1_501.0),
            ] {
                let purchases = Purchases { frequency, recency_weeks, age_weeks };
                for weeks in [1.0, 52.0, 300.0] {
                    let law = model.purchase_probabilities(&purchases, weeks).unwrap();
                    let total: f64 = law.iter().sum();
                    let mean: f64 = law.iter().enumerate().map(|(n, share)| n as f64 * share).sum();
                    let expected = model.expected_purchases(&purchases, weeks);
                    assert!((total - 1.0).abs() < 1e-12, "{total}");
                    assert!((law[0] - model.probability_of_none(&purchases, weeks)).abs() < 1e-12);
                    assert!((mean / expected - 1.0).abs() < 1e-10, "{purchases:?}: {mean} {expected}");
                }
            }
        }
    }

    #[test]
    fn endless_numbers_have_no_law() {
        let model = BgNbd { r: 1e5, alpha: 1e-5, a: 1e-5, b: 1e5 };
        let purchases = Purchases { frequency: 0, recency_weeks: 0.0, age_weeks: 0.0 };
        assert_eq!(model.purchase_probabilities(&purchases, 52.0), None);
        let many = BgNbd { r: 1e-5, alpha: 1e-5, a: 1e-5, b: 1e5 };
        assert_eq!(many.purchase_probabilities(&purchases, 52.0), None);
    }
}
