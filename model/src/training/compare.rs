//! Candidate against champion: both evaluated on the same holdout rows, with a paired bootstrap
//! (Efron and Tibshirani 1993, ch. 8) that resamples customers, since the snapshots of one customer
//! are not independent.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    parallel::par_map,
    training::{snapshot::Snapshots, split::FEWEST_OF_A_CLASS},
};

/// The bootstrap draws its replicates in blocks, each with its own seed: the same rows give the same interval.
const SEEDS: Range<u64> = 1..6;
/// The replicates of a block. With a single block, an end of the interval would be off by 9 % of a standard error, and
/// that would decide some promotions.
const REPLICATES: usize = 1_000;
/// How much worse than the champion, in mean log loss, a candidate must be shown not to be. The best of a regular
/// series of trainings differ by less than this from each other, and a candidate whose interval reaches beyond it may
/// as well be worse as better.
pub const NON_INFERIORITY_MARGIN: f64 = 0.002;

/// A holdout row that neither model was trained on, and the probabilities of both.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The customer.
    pub customer_id: String,
    /// Whether the outcome happened.
    pub label: bool,
    /// The candidate's probability.
    pub candidate: f64,
    /// The champion's probability.
    pub champion: f64,
}

/// A candidate and the champion on the same rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The number of rows.
    pub rows: usize,
    /// How many of them have the outcome.
    pub positives: usize,
    /// The number of their customers.
    pub customers: usize,
    /// Mean negative log-likelihood of the candidate.
    pub candidate_log_loss: f64,
    /// Mean negative log-likelihood of the champion.
    pub champion_log_loss: f64,
    /// The candidate's log loss minus the champion's: below 0 the candidate is better.
    pub difference: f64,
    /// Lower end of the 95 % interval of `difference`.
    pub lower: f64,
    /// Upper end of the 95 % interval of `difference`.
    pub upper: f64,
}

impl Comparison {
    /// Compares the models on `pairs`, which are ordered by customer.
    ///
    /// # Errors
    /// [`TooFewPairs`] when there are too few rows with the outcome or without.
    pub fn new(pairs: &[Pair]) -> Result<Self, TooFewPairs> {
        let rows = pairs.len();
        let positives = pairs.iter().filter(|pair| pair.label).count();
        if positives.min(rows - positives) < FEWEST_OF_A_CLASS {
            return Err(TooFewPairs { rows, positives });
        }
        Ok(Self::of(pairs))
    }

    /// Whether the candidate should replace the champion: its log loss is lower, and the upper end of the interval
    /// shows that it is not worse by [`NON_INFERIORITY_MARGIN`] or more. Without the second condition, half of all
    /// retrainings that change nothing would be promoted.
    #[must_use]
    pub fn is_better(&self) -> bool {
        self.difference < 0.0 && self.upper < NON_INFERIORITY_MARGIN
    }

    /// Compares them on however few pairs; there is at least one.
    #[must_use]
    pub fn of(pairs: &[Pair]) -> Self {
        let rows = pairs.len();
        let loss = |p: f64, label: bool| -(if label { p } else { 1.0 - p }).ln();
        let mean = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / rows as f64;
        let candidate_log_loss = mean(&|pair| loss(pair.candidate, pair.label));
        let champion_log_loss = mean(&|pair| loss(pair.champion, pair.label));
        // A customer's rows, and the sum of their differences.
        let difference = |pair: &Pair| loss(pair.candidate, pair.label) - loss(pair.champion, pair.label);
        let customers: Vec<(f64, f64)> = pairs
            .chunk_by(|a, b| a.customer_id == b.customer_id)
            .map(|own| (own.len() as f64, own.iter().map(difference).sum()))
            .collect();
        let (lower, upper) = interval(&customers);
        Self {
            rows,
            positives: pairs.iter().filter(|pair| pair.label).count(),
            customers: customers.len(),
            candidate_log_loss,
            champion_log_loss,
            difference: candidate_log_loss - champion_log_loss,
            lower,
            upper,
        }
    }
}

/// Why two models cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "they have {rows} holdout rows in common that neither has learned from, {positives} with the outcome and {} without; \
     need {FEWEST_OF_A_CLASS} of each. There are more once the outcomes of later snapshots are known; a training as of an \
     earlier moment than that of the champion has few, or none",
    .rows - .positives
)]
pub struct TooFewPairs {
    /// The number of common rows.
    pub rows: usize,
    /// How many of them have the outcome.
    pub positives: usize,
}

/// The 2.5 and 97.5 % quantiles of the mean over resampled customers, each (rows, sum).
fn interval(customers: &[(f64, f64)]) -> (f64, f64) {
    let block = |seed| -> Vec<f64> {
        let mut sampler = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mean = |_| {
            let draws = (0..customers.len()).map(|_| customers[sampler.gen_range(0..customers.len())]);
            let (rows, sum) = draws.fold((0.0, 0.0), |(rows, sum), own| (rows + own.0, sum + own.1));
            sum / rows
        };
        (0..REPLICATES).map(mean).collect()
    };
    let mut means = par_map(SEEDS, block).concat();
    means.sort_by(f64::total_cmp);
    let quantile = |share: f64| means[(share * (means.len() - 1) as f64).round() as usize];
    (quantile(0.025), quantile(0.975))
}

/// Samples up to `most` rows of a holdout, all rows of a customer or none. The choice depends on the ids of the
/// customers alone, so that the samples of two holdouts overlap.
#[must_use]
pub fn sample(rows: &Snapshots, holdout: &[(usize, f64)], most: usize) -> Vec<(usize, f64)> {
    let mut order = holdout.to_vec();
    order.sort_by_cached_key(|(row, _)| (Sha256::digest(rows.customer_id(*row)), rows.as_of[*row]));
    let whole = order.chunk_by(|(a, _), (b, _)| rows.customer[*a] == rows.customer[*b]);
    let taken = whole.scan(0, |taken, own| {
        *taken += own.len();
        (*taken <= most).then_some(own)
    });
    taken.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::time::Time;

    /// Customers with one to four rows each, whose differences are correlated.
    fn pairs(customers: usize, shift: f64) -> Vec<Pair> {
        let mut sampler = Xoshiro256PlusPlus::seed_from_u64(5);
        let mut all = Vec::new();
        for n in 0..customers {
            let own: f64 = sampler.gen_range(-0.15..0.15);
            for _ in 0..=n % 4 {
                let champion: f64 = sampler.gen_range(0.2..0.8);
                let label = sampler.gen_bool(champion);
                let towards = if label { own - shift } else { shift - own };
                let candidate = (champion + towards).clamp(0.01, 0.99);
                all.push(Pair { customer_id: format!("C{n:04}"), label, candidate, champion });
            }
        }
        all
    }

    #[test]
    fn the_interval_is_that_of_normal_theory_for_clustered_rows() {
        let pairs = pairs(800, 0.01);
        let found = Comparison::new(&pairs).unwrap();
        // The ratio estimator's variance (Cochran 1977, 6.4): C/(C−1) · Σ(sum − rows·mean)² / N².
        let loss = |p: f64, label: bool| if label { -p.ln() } else { -(1.0 - p).ln() };
        let mut clusters = BTreeMap::<&str, (f64, f64)>::new();
        for pair in &pairs {
            let own = clusters.entry(&pair.customer_id).or_default();
            own.0 += 1.0;
            own.1 += loss(pair.candidate, pair.label) - loss(pair.champion, pair.label);
        }
        let rows: f64 = clusters.values().map(|own| own.0).sum();
        let mean = clusters.values().map(|own| own.1).sum::<f64>() / rows;
        let spread: f64 = clusters.values().map(|own| (own.1 - own.0 * mean).powi(2)).sum();
        let c = clusters.len() as f64;
        let half = 1.959_964 * (c / (c - 1.0) * spread).sqrt() / rows;
        assert!((found.difference - mean).abs() < 1e-12 && found.customers == 800, "{found:?}");
        assert!((found.lower - (mean - half)).abs() < 0.1 * half, "{found:?} against {mean} ± {half}");
        assert!((found.upper - (mean + half)).abs() < 0.1 * half, "{found:?} against {mean} ± {half}");
        // If the rows were taken for independent, the interval would be narrower.
        let each = |pair: &Pair| loss(pair.candidate, pair.label) - loss(pair.champion, pair.label) - mean;
        let naive = 1.959_964 * pairs.iter().map(|pair| each(pair).powi(2)).sum::<f64>().sqrt() / rows;
        assert!(naive < 0.9 * half, "{naive} against {half}");
        assert_eq!(Comparison::new(&pairs), Ok(found), "the same rows give the same interval");
    }

    #[test]
    fn the_interval_covers_no_difference_where_there_is_none() {
        let mut same = pairs(200, 0.0);
        same.iter_mut().for_each(|pair| pair.candidate = pair.champion);
        let found = Comparison::new(&same).unwrap();
        assert_eq!((found.difference, found.lower, found.upper), (0.0, 0.0, 0.0));
        let worse = Comparison::new(&pairs(800, 0.05)).unwrap();
        assert!(worse.lower > 0.0 && worse.lower < worse.difference && worse.difference < worse.upper);
    }

    #[test]
    fn too_few_rows_of_an_outcome_are_no_comparison() {
        let mut all = pairs(100, 0.0);
        all.iter_mut().enumerate().for_each(|(n, pair)| pair.label = n < 49);
        let refused = Comparison::new(&all).unwrap_err();
        assert_eq!(refused, TooFewPairs { rows: 250, positives: 49 });
        assert!(refused.to_string().contains("have 250") && refused.to_string().contains("need 50 of each"));
        assert_eq!(Comparison::new(&[]), Err(TooFewPairs { rows: 0, positives: 0 }));
    }

    #[test]
    fn the_samples_of_two_holdouts_overlap() {
        // Three snapshots of each customer; the second holdout has the odd customers alone.
        let rows = |keep: &dyn Fn(usize) -> bool| {
            let mut rows = Snapshots::default();
            for n in (0..300).filter(|n| keep(*n)) {
                for moment in 0..3 {
                    rows.customer.push(rows.customers.len() as u32);
                    rows.as_of.push(Time(moment));
                    rows.label.push(false);
                }
                rows.customers.push(format!("C{n}"));
            }
            rows
        };
        let sampled = |rows: &Snapshots, most: usize| {
            let holdout: Vec<(usize, f64)> = (0..rows.len()).map(|row| (row, 0.5)).collect();
            let taken = sample(rows, &holdout, most);
            taken
                .into_iter()
                .map(|(row, _)| (rows.customer_id(row).to_owned(), rows.as_of[row]))
                .collect::<HashSet<_>>()
        };
        let all = sampled(&rows(&|_| true), 400);
        let odd = sampled(&rows(&|n| n % 2 == 1), 400);
        assert_eq!((all.len(), odd.len()), (399, 399), "whole customers only");
        let odd_of_all = all.iter().filter(|(id, _)| id.as_bytes().last().is_some_and(|c| c % 2 == 1));
        let (wanted, met) =
            odd_of_all.fold((0, 0), |(n, met), key| (n + 1, met + usize::from(odd.contains(key))));
        assert!(wanted > 100 && met == wanted, "{met} of {wanted}");
    }
}
