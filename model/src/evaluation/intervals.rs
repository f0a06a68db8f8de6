//! 95 % intervals of the metrics of independent rows, such as the predictions of customers that count once each.

use super::metrics::{auc, groups, losses};
use crate::special::Z95;

/// A 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub lower: f64,
    /// Its upper end.
    pub upper: f64,
}

impl Interval {
    /// The score interval of a share (Wilson 1927), `successes` of `trials` above 0. It stays within 0 and 1, and is
    /// honest also for few trials.
    #[must_use]
    pub fn of_share(successes: i64, trials: i64) -> Self {
        let (n, share) = (trials as f64, successes as f64 / trials as f64);
        let z2 = Z95 * Z95;
        let half = Z95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
        let [lower, upper] = [-half, half].map(|half| (share + z2 / (2.0 * n) + half) / (1.0 + z2 / n));
        Self { lower, upper }
    }

    /// The interval of the area under the ROC curve by the variance of DeLong, DeLong and Clarke-Pearson (1988,
    /// "Comparing the Areas under Two or More Correlated Receiver Operating Characteristic Curves", Biometrics 44(3),
    /// 837–845), in O(n log n). It is symmetric on the logit scale, so that it stays within (0, 1) (Pepe 2003, "The
    /// Statistical Evaluation of Medical Tests for Classification and Prediction", section 5.2).
    ///
    /// None with fewer than two rows of either outcome, and when the variance is 0 or the area 0 or 1: then the rows
    /// say nothing about how far the area may be from the truth.
    #[must_use]
    pub fn of_auc(probabilities: &[f64], outcomes: &[bool]) -> Option<Self> {
        let positives = outcomes.iter().filter(|outcome| **outcome).count() as f64;
        let negatives = outcomes.len() as f64 - positives;
        if positives < 2.0 || negatives < 2.0 {
            return None;
        }
        let area = auc(probabilities, outcomes);
        // The share of the other outcome's rows that each row is ranked rightly against, ties counting half.
        let (mut of_positives, mut of_negatives) = (0.0, 0.0);
        let (mut positives_above, mut negatives_above) = (0.0, 0.0);
        for (rows, found) in groups(probabilities, outcomes) {
            let (found, others) = (found as f64, (rows - found) as f64);
            let right = 1.0 - (negatives_above + 0.5 * others) / negatives;
            of_positives += found * (right - area).powi(2);
            let right = (positives_above + 0.5 * found) / positives;
            of_negatives += others * (right - area).powi(2);
            positives_above += found;
            negatives_above += others;
        }
        let variance =
            of_positives / (positives - 1.0) / positives + of_negatives / (negatives - 1.0) / negatives;
        let inside = area * (1.0 - area);
        if variance <= 0.0 || inside <= 0.0 {
            return None;
        }
        let (logit, half) = ((area / (1.0 - area)).ln(), Z95 * variance.sqrt() / inside);
        let area_at = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        Some(Self { lower: area_at(logit - half), upper: area_at(logit + half) })
    }

    /// The interval of the mean negative log-likelihood by normal theory: mean ± 1.96 · s/√n (Cochran 1977, "Sampling
    /// Techniques", section 2.8), not below 0. None with fewer than two rows.
    #[must_use]
    pub fn of_log_loss(probabilities: &[f64], outcomes: &[bool]) -> Option<Self> {
        let n = outcomes.len() as f64;
        if n < 2.0 {
            return None;
        }
        let mean = losses(probabilities, outcomes).sum::<f64>() / n;
        let squares: f64 = losses(probabilities, outcomes).map(|loss| (loss - mean).powi(2)).sum();
        let half = Z95 * (squares / (n - 1.0) / n).sqrt();
        Some(Self { lower: (mean - half).max(0.0), upper: mean + half })
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    /// The areas and variances by the definition: the mean of the kernel over all pairs, row by row.
    fn by_definition(probabilities: &[f64], outcomes: &[bool]) -> (f64, f64) {
        let of = |wanted: bool| -> Vec<f64> {
            probabilities.iter().zip(outcomes).filter(|(_, y)| **y == wanted).map(|(p, _)| *p).collect()
        };
        let (positives, negatives) = (of(true), of(false));
        let kernel = |p: f64, q: f64| f64::from(u8::from(p > q)) + 0.5 * f64::from(u8::from(p == q));
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let right: Vec<f64> = positives
            .iter()
            .map(|p| mean(&negatives.iter().map(|q| kernel(*p, *q)).collect::<Vec<_>>()))
            .collect();
        let left: Vec<f64> = negatives
            .iter()
            .map(|q| mean(&positives.iter().map(|p| kernel(*p, *q)).collect::<Vec<_>>()))
            .collect();
        let variance_of_mean = |values: &[f64]| {
            let (n, mean) = (values.len() as f64, mean(values));
            values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
        };
        (mean(&right), variance_of_mean(&right) + variance_of_mean(&left))
    }

    /// Scores on a grid, so that there are ties, and outcomes that they say something about.
    fn draw(sampler: &mut Xoshiro256PlusPlus, rows: usize) -> (Vec<f64>, Vec<bool>) {
        let each = |_| {
            let p = f64::from(sampler.gen_range(1..20_u8)) / 20.0;
            (p, sampler.gen_bool(0.2 + 0.6 * p))
        };
        (0..rows).map(each).unzip()
    }

    #[test]
    fn the_interval_of_the_auc_is_that_of_the_definition() {
        let mut sampler = Xoshiro256PlusPlus::seed_from_u64(3);
        for rows in [20, 57, 300] {
            let (p, y) = draw(&mut sampler, rows);
            let (area, variance) = by_definition(&p, &y);
            let found = Interval::of_auc(&p, &y).unwrap();
            let logit = |p: f64| (p / (1.0 - p)).ln();
            let half = 1.959_964 * variance.sqrt() / (area * (1.0 - area));
            assert!((logit(found.lower) - (logit(area) - half)).abs() < 1e-5, "{found:?}");
            assert!((logit(found.upper) - (logit(area) + half)).abs() < 1e-5, "{found:?}");
        }
    }

    #[test]
    fn the_intervals_cover_the_truth() {
        // The truth over a population of many rows; samples of it miss it once in twenty.
        let mut sampler = Xoshiro256PlusPlus::seed_from_u64(7);
        let (p, y) = draw(&mut sampler, 400_000);
        let area = auc(&p, &y);
        let loss = losses(&p, &y).sum::<f64>() / 400_000.0;
        let samples = 2_000;
        let (mut areas, mut means) = (0, 0);
        for _ in 0..samples {
            let (p, y) = draw(&mut sampler, 200);
            let holds = |interval: Interval, truth: f64| (interval.lower..=interval.upper).contains(&truth);
            areas += usize::from(holds(Interval::of_auc(&p, &y).unwrap(), area));
            means += usize::from(holds(Interval::of_log_loss(&p, &y).unwrap(), loss));
        }
        for covered in [areas, means] {
            let share = covered as f64 / f64::from(samples);
            assert!((0.935..0.965).contains(&share), "{areas} and {means} of {samples}");
        }
    }

    #[test]
    fn the_interval_of_the_log_loss_is_that_of_a_mean() {
        // Losses ln 2, ln 4 and ln 4/3.
        let (p, y) = ([0.5, 0.25, 0.75], [true, true, true]);
        let found = Interval::of_log_loss(&p, &y).unwrap();
        let all = [2.0_f64.ln(), 4.0_f64.ln(), (4.0_f64 / 3.0).ln()];
        let mean = all.iter().sum::<f64>() / 3.0;
        let sd = (all.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        assert!((found.upper - (mean + 1.959_964 * sd / 3.0_f64.sqrt())).abs() < 1e-6, "{found:?}");
        assert!((found.lower - (mean - 1.959_964 * sd / 3.0_f64.sqrt()).max(0.0)).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn too_few_rows_have_no_interval() {
        assert_eq!(Interval::of_auc(&[0.5, 0.6, 0.7], &[true, false, false]), None);
        assert_eq!(
            Interval::of_auc(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]),
            None,
            "an area of 1"
        );
        assert_eq!(Interval::of_auc(&[0.5; 4], &[false, false, true, true]), None, "one probability");
        assert_eq!(Interval::of_log_loss(&[0.5], &[true]), None);
        let one = Interval::of_log_loss(&[0.5; 4], &[true; 4]).unwrap();
        assert!((one.upper - one.lower).abs() < 1e-12, "all losses are the same");
    }
}
