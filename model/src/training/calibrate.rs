//! Fitting calibration curves to the scores of rows that the regression had not seen.

use crate::{artifact::Calibration, evaluation::metrics::log_loss_of_log_odds};

/// The most Newton steps of the Platt fit, which is convex in two parameters.
const STEPS: usize = 50;
/// The rows of a group in the isotonic fit.
const FEWEST_ROWS: usize = 30;

/// The Platt curve of least loss; None when it does not rise.
#[must_use]
pub fn fit_platt(scores: &[(f64, bool)]) -> Option<Calibration> {
    let loss = |slope: f64, offset: f64| -> f64 {
        scores.iter().map(|(z, y)| log_loss_of_log_odds(slope * z + offset, *y)).sum()
    };
    let (mut slope, mut offset) = (1.0, 0.0);
    for _ in 0..STEPS {
        let (mut g, mut h) = ([0.0; 2], [0.0; 3]);
        for (z, y) in scores {
            let p = 1.0 / (1.0 + (-(slope * z + offset)).exp());
            let (residual, spread) = (p - f64::from(u8::from(*y)), p * (1.0 - p));
            g = [g[0] + residual * z, g[1] + residual];
            h = [h[0] + spread * z * z, h[1] + spread * z, h[2] + spread];
        }
        if g[0].abs().max(g[1].abs()) <= 1e-9 * scores.len() as f64 {
            break;
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant];
        let now = loss(slope, offset);
        let better = (0..30)
            .map(|halving| 0.5_f64.powi(halving))
            .find(|length| loss(slope - length * step[0], offset - length * step[1]) < now);
        let Some(length) = better else { break };
        (slope, offset) = (slope - length * step[0], offset - length * step[1]);
    }
    let fitted = Calibration::Platt { slope, offset };
    fitted.is_valid().then_some(fitted)
}

/// The isotonic curve of least loss over groups of neighbouring rows in z; None when the outcome does not
/// become more frequent with z.
#[must_use]
pub fn fit_isotonic(scores: &[(f64, bool)]) -> Option<Calibration> {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    // Pools of (rows, positives, sum of z), the last two merged while the rate does not rise.
    let mut pools: Vec<(f64, f64, f64)> = Vec::new();
    for some in sorted.chunks(FEWEST_ROWS) {
        let positives = some.iter().filter(|(_, y)| *y).count() as f64;
        pools.push((some.len() as f64, positives, some.iter().map(|(z, _)| z).sum()));
        while let [.., a, b] = pools.as_slice() {
            if a.1 / a.0 < b.1 / b.0 {
                break;
            }
            let merged = (a.0 + b.0, a.1 + b.1, a.2 + b.2);
            pools.truncate(pools.len() - 2);
            pools.push(merged);
        }
    }
    // Half a row more of each outcome keeps the rates off 0 and 1.
    let knot = |(rows, positives, z): (f64, f64, f64)| {
        (z / rows, ((positives + 0.5) / (rows - positives + 0.5)).ln())
    };
    let mut knots: Vec<(f64, f64)> = pools.into_iter().map(knot).collect();
    knots.dedup_by(|b, a| b.0 <= a.0 || b.1 <= a.1);
    let fitted = Calibration::Isotonic { knots };
    fitted.is_valid().then_some(fitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores z whose outcomes have the log-odds `truth(z)`, spread evenly.
    fn scores(truth: impl Fn(f64) -> f64) -> Vec<(f64, bool)> {
        (0..20_000)
            .map(|n| {
                let z = f64::from(n % 200) / 25.0 - 4.0;
                // A low-discrepancy sequence in place of random numbers.
                let uniform = (f64::from(n) * 0.618_033_988_749_894_9).fract();
                (z, uniform < 1.0 / (1.0 + (-truth(z)).exp()))
            })
            .collect()
    }

    #[test]
    fn platt_recovers_slope_and_offset() {
        let Some(Calibration::Platt { slope, offset }) = fit_platt(&scores(|z| 0.5 * z - 0.7)) else {
            panic!("no curve");
        };
        assert!((slope - 0.5).abs() < 0.02 && (offset + 0.7).abs() < 0.03, "{slope} {offset}");
    }

    #[test]
    fn isotonic_follows_any_rising_curve_and_never_falls() {
        let truth = |z: f64| if z < 0.0 { 0.3 * z - 1.0 } else { 1.5 * z - 1.0 };
        let curve = fit_isotonic(&scores(truth)).unwrap();
        for z in [-3.0, -1.0, 0.5, 1.5] {
            assert!((curve.apply(z) - truth(z)).abs() < 0.35, "{z}: {} not {}", curve.apply(z), truth(z));
        }
        let values: Vec<f64> = (-100..100).map(|n| curve.apply(f64::from(n) / 10.0)).collect();
        assert!(values.is_sorted_by(|a, b| a < b));
        assert!((curve.apply(100.0) - curve.apply(99.0) - 1.0).abs() < 1e-9, "slope 1 outside");
    }

    #[test]
    fn falling_scores_give_no_curve() {
        assert_eq!(fit_platt(&scores(|z| -z)), None);
        assert_eq!(fit_isotonic(&scores(|z| -z)), None);
    }

    #[test]
    fn the_slope_between_two_points_gives_their_difference() {
        let curve = fit_isotonic(&scores(|z| 0.5 * z)).unwrap();
        for (from, to) in [(0.1, 2.3), (-1.0, -1.0), (0.2, 0.2 + 1e-12), (-50.0, 50.0)] {
            let change = curve.slope_between(from, to) * (to - from);
            assert!((change - (curve.apply(to) - curve.apply(from))).abs() < 1e-12);
            assert!(curve.slope_between(from, to) > 0.0);
        }
    }
}
