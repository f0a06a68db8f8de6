//! The expected number of purchases of a customer who is active: a series where it converges fast, else quadrature.

/// Above this z = t/(α+T+t) the series takes too many terms.
const SERIES_MOST_Z: f64 = 0.95;
/// Above this the first term of the series would be less than the smallest `f64`.
const SERIES_MOST_EXPONENT: f64 = 600.0;

/// E[(1 − exp(−λ·p·t))/p] over λ ~ gamma(`shape`, A), p ~ beta(a, b), for `ratio` = t/A.
pub(super) fn expected_purchases(a: f64, b: f64, shape: f64, ratio: f64) -> f64 {
    let by_series = ratio / (1.0 + ratio) <= SERIES_MOST_Z && shape * ratio.ln_1p() <= SERIES_MOST_EXPONENT;
    let method = if by_series { sum_of_series } else { by_quadrature };
    method(a, b, shape, ratio)
}

/// By a series. If nobody left, the number N of purchases in t would be negative binomial; the (k+1)-th is made only by
/// the customers who have not left after k, a share of (b)ₖ/(a+b)ₖ: Σₙ P(N = n)·Σ_{k<n} (b)ₖ/(a+b)ₖ.
/// The sum over n converges like the ₂F₁ of equation 10, as zⁿ with z = t/(A+t).
fn sum_of_series(a: f64, b: f64, shape: f64, ratio: f64) -> f64 {
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
        // No later term shrinks less.
        let shrinks = z * ((shape + n) / (n + 1.0)).max(1.0) * (1.0 + 1.0 / n);
        let more_counts = shrinks >= 1.0 || term * shrinks > f64::EPSILON * sum * (1.0 - shrinks);
        if !more_counts {
            return sum;
        }
    }
}

/// The same by the trapezoidal rule over y = ln(p/(1−p)), which converges exponentially: the
/// integrand is analytic for |Im y| < π and bounded for |Im y| ≤ π/2, whatever the arguments.
/// It is slower than the series, but equally fast for z near 1 and for thousands of purchases.
fn by_quadrature(a: f64, b: f64, shape: f64, ratio: f64) -> f64 {
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
    // Beyond these ends p or 1 − p is so small that the integrand is an exponential function, and its
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
                        let [one, other] =
                            [sum_of_series, by_quadrature].map(|method| method(a, b, shape, ratio));
                        assert!(
                            (one / other - 1.0).abs() < 1e-10,
                            "a {a}, b {b}, shape {shape}, ratio {ratio}: {one} {other}"
                        );
                    }
                }
            }
        }
    }
}
