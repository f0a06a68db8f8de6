//! Mean and second factorial moment of the number of purchases between two moments to come.

use super::BgNbd;

/// A node whose weight, with all that it can be multiplied with, is below this share of the sum does not count.
const NEGLIGIBLE: f64 = 1e-14;

/// The probabilities p of leaving after a purchase of customers who are active after some repeat purchases, as weighted
/// nodes: p is beta distributed with a and b + x. They are the trapezoidal rule over ln(p/(1−p)), which converges
/// exponentially.
pub(crate) struct Dropouts {
    /// r + x.
    shape: f64,
    /// p and its weight; the weights sum up to 1.
    nodes: Vec<[f64; 2]>,
}

impl BgNbd {
    /// The nodes for customers with `frequency` repeat purchases, of use up to a ratio of t/(α+T).
    pub(crate) fn dropouts(&self, frequency: u32, greatest_ratio: f64) -> Dropouts {
        let x = f64::from(frequency);
        let (a, b, shape) = (self.a, self.b + x, self.r + x);
        // ln(1 + exp(y)) without overflow.
        let softplus = |y: f64| y.max(0.0) + (-y.abs()).exp().ln_1p();
        let log_weight = |y: f64| -a * softplus(-y) - b * softplus(y);
        let peak = (a / b).ln();
        let step = (0.6 * (1.0 / a + 1.0 / b).sqrt()).min(0.25);
        // What is averaged is at most so much greater at small p, and constant below its inverse.
        let most = (shape * greatest_ratio).max(1.0);
        let mut nodes = vec![[(-softplus(-peak)).exp(), 1.0]];
        let mut total = 1.0;
        for (side, decay, end) in [(-1.0, a, 32.0 + b.max(most).ln()), (1.0, b, 32.0 + a.max(1.0).ln())] {
            let mut y = peak;
            loop {
                y += side * step;
                let weight = (log_weight(y) - log_weight(peak)).exp();
                // Beyond the end the weights are a geometric series.
                let is_end = y * side > end;
                let weight = if is_end { weight * (1.0 + 1.0 / (decay * step).exp_m1()) } else { weight };
                nodes.push([(-softplus(-y)).exp(), weight]);
                total += weight;
                if is_end || weight * most * most <= NEGLIGIBLE * total {
                    break;
                }
            }
        }
        nodes.iter_mut().for_each(|[_, weight]| *weight /= total);
        Dropouts { shape, nodes }
    }
}

impl Dropouts {
    /// E[N] and E[N·(N − 1)] of the purchases in (t₁, t₂] of a customer who is active at T, for the ratios t/(α+T).
    ///
    /// Given λ and p, the customer is active at t₁ with probability exp(−λpt₁), and makes then n purchases or more in
    /// τ = t₂ − t₁ with probability (1−p)ⁿ⁻¹·P(Poisson(λτ) ≥ n). Summed over n,
    /// E[N] = exp(−λpt₁)·(1 − exp(−λpτ))/p and E[N·(N−1)] = exp(−λpt₁)·2·(1−p)·(1 − exp(−λpτ)·(1 + λpτ))/p². Over the gamma
    /// distribution of λ, exp(−λu) is (1 + u/(α+T))^−(r+x).
    pub(crate) fn moments(&self, [from, to]: [f64; 2]) -> [f64; 2] {
        let shape = self.shape;
        let mut sums = [0.0; 2];
        for [p, weight] in &self.nodes {
            let first = (-shape * (p * from).ln_1p()).exp();
            let leaving = p * (to - from) / (1.0 + p * to);
            let [some, several] = rests(shape, leaving);
            sums[0] += weight * first * some / p;
            sums[1] += weight * first * 2.0 * (1.0 - p) * several / (p * p);
        }
        sums
    }
}

/// 1 − exp(−L) and 1 − exp(−L)·(1 + shape·d), where L = −shape·ln(1 − d), without loss of digits for small d.
fn rests(shape: f64, d: f64) -> [f64; 2] {
    let log = -shape * (-d).ln_1p();
    let rest = (-log).exp();
    let some = -(-log).exp_m1();
    if d > 0.05 || log > 0.05 {
        return [some, some - shape * d * rest];
    }
    // exp(L) − 1 − shape·d = (L − shape·d) + (exp(L) − 1 − L), both by their series.
    let of_log = (2..12).rev().fold(0.0, |sum, n| sum * d + 1.0 / f64::from(n)) * shape * d * d;
    let mut term = log * log / 2.0;
    let mut of_exp = 0.0;
    for n in 3..12 {
        of_exp += term;
        term *= log / f64::from(n);
    }
    [some, rest * (of_log + of_exp)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::bg_nbd::Purchases;

    #[test]
    fn moments_are_those_of_the_law() {
        for [r, alpha, a, b] in [[0.243, 4.414, 0.793, 2.426], [2.0, 8.0, 0.3, 8.0], [12.0, 9.0, 1e-3, 6e3]] {
            let model = BgNbd { r, alpha, a, b };
            for (frequency, age_weeks) in [(0, 0.0), (0, 300.0), (2, 38.86), (400, 104.0)] {
                // Just bought, so certainly active but for the last purchase.
                let purchases = Purchases { frequency, recency_weeks: age_weeks, age_weeks };
                let alive = model.probability_alive(&purchases);
                let ratio = |weeks: f64| weeks / (alpha + age_weeks);
                let dropouts = model.dropouts(frequency, ratio(154.0));
                let law = model.purchase_probabilities(&purchases, 4.0).unwrap();
                let moment = |of: fn(f64) -> f64| -> f64 {
                    law.iter().enumerate().map(|(n, share)| of(n as f64) * share).sum()
                };
                let [mean, pairs] = dropouts.moments([0.0, ratio(4.0)]).map(|moment| alive * moment);
                assert!((mean / moment(|n| n) - 1.0).abs() < 1e-10, "{mean}");
                assert!((pairs / moment(|n| n * (n - 1.0)) - 1.0).abs() < 1e-9, "{pairs}");
                // Later on, the means are differences.
                let until = |weeks| model.expected_purchases(&purchases, weeks);
                let [mean, _] = dropouts.moments([ratio(150.0), ratio(154.0)]).map(|moment| alive * moment);
                assert!((mean / (until(154.0) - until(150.0)) - 1.0).abs() < 1e-8, "{mean}");
            }
        }
    }

    #[test]
    fn both_ways_to_the_rests_agree() {
        for shape in [0.3, 4.0, 0.9 / 0.05] {
            let [below, above] = [0.049_999, 0.050_001].map(|d| rests(shape, (d / shape).min(d))[1]);
            assert!((below / above - 1.0).abs() < 1e-3 && below > 0.0, "{below} {above}");
            let d = (0.049 / shape).min(0.049);
            let log = -shape * (-d).ln_1p();
            let direct = 1.0 - (-log).exp() * (1.0 + shape * d);
            assert!((rests(shape, d)[1] / direct - 1.0).abs() < 1e-10);
        }
    }
}
