//! Comparing trials: which one has the lesser loss, and whether the difference is significant.

use std::collections::BTreeMap;

use super::{Selection, Trial};
use crate::{
    artifact::SplitKind, evaluation::metrics::log_loss_of_log_odds, time::Time, training::dataset::Dataset,
};

/// The intervals of time that a validation in time is divided into.
const INTERVALS: usize = 8;
/// The 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom.
const STUDENT: [f64; 7] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365];

impl Selection<'_> {
    /// The validation rows of all rounds.
    pub(super) fn validation_rows(&self) -> impl Iterator<Item = usize> {
        self.rounds.iter().flat_map(|round| round.validate.iter().copied())
    }

    /// The loss of each validation row.
    pub(super) fn losses(&self, log_odds: &[f64]) -> Vec<f64> {
        self.labels.iter().zip(log_odds).map(|(label, z)| log_loss_of_log_odds(*z, *label)).collect()
    }

    /// The richer trial when it is better by more than a standard error, else the simpler one.
    pub(super) fn richer_if_better(&mut self, simple: Trial, rich: Trial) -> Trial {
        let (excess, standard_error) = self.compare(&simple, &rich);
        if -excess > standard_error { rich } else { simple }
    }

    /// The second trial when it is significantly better, else the first.
    pub(super) fn significantly_better(&mut self, one: Trial, other: Trial) -> Trial {
        self.compare(&one, &other);
        if self.is_significantly_better(&other.profiled, &one.profiled) { other } else { one }
    }

    /// The trial with the lesser loss.
    pub(super) fn lesser_loss(&mut self, one: Trial, other: Trial) -> Trial {
        if self.compare(&one, &other).0 <= 0.0 { other } else { one }
    }

    /// Compares a trial with the best one so far and records the result with the candidate.
    pub(super) fn compare(&mut self, best: &Trial, latest: &Trial) -> (f64, f64) {
        let compared = self.excess(&latest.profiled, &best.profiled);
        if let Some(candidate) = self.candidates.iter_mut().find(|known| known.recipe == latest.recipe) {
            (candidate.excess, candidate.standard_error) = compared;
        }
        compared
    }

    /// The mean loss of `a` minus that of `b`, and the standard error of this difference.
    pub(super) fn excess(&self, a: &[f64], b: &[f64]) -> (f64, f64) {
        let differences: Vec<f64> = self.losses(a).iter().zip(self.losses(b)).map(|(a, b)| a - b).collect();
        mean_by_customer(&self.dataset, self.validation_rows(), &differences)
    }

    /// Whether `a` has a significantly lesser loss (95 %).
    ///
    /// Whatever depends on time, such as a rising base rate, concerns all customers at once: rows of
    /// the same time are not independent, however many there are. So the times are the sample: up to
    /// [`INTERVALS`] intervals of the validation, compared by a t-test. Validations by customer have no
    /// times; there the standard error over customers decides.
    pub(super) fn is_significantly_better(&self, a: &[f64], b: &[f64]) -> bool {
        if self.validation == SplitKind::Random {
            let (excess, standard_error) = self.excess(a, b);
            return -excess > 1.96 * standard_error;
        }
        let gains = self.gains_by_time(a, b);
        let n = gains.len() as f64;
        let mean = gains.iter().sum::<f64>() / n;
        let variance = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let quantile = gains.len().checked_sub(2).and_then(|n| STUDENT.get(n));
        quantile.is_some_and(|quantile| mean > quantile * (variance / n).sqrt())
    }

    /// The mean loss of `b` minus that of `a` in each interval of the validation.
    fn gains_by_time(&self, a: &[f64], b: &[f64]) -> Vec<f64> {
        let as_of = |row: usize| self.dataset.rows.as_of[row];
        let mut moments: Vec<Time> = self.validation_rows().map(as_of).collect();
        moments.sort_unstable();
        let mut edges: Vec<Time> = (1..INTERVALS).map(|n| moments[n * moments.len() / INTERVALS]).collect();
        edges.dedup();
        let mut gains = vec![(0.0, 0.0); edges.len() + 1];
        for ((row, a), b) in self.validation_rows().zip(self.losses(a)).zip(self.losses(b)) {
            let gain = &mut gains[edges.partition_point(|edge| *edge <= as_of(row))];
            *gain = (gain.0 + b - a, gain.1 + 1.0);
        }
        gains.iter().filter(|(_, n)| *n > 0.0).map(|(sum, n)| sum / n).collect()
    }
}

/// The mean of a number of each row, and its standard error, customers being independent.
pub(super) fn mean_by_customer(
    dataset: &Dataset<'_>,
    rows: impl Iterator<Item = usize>,
    numbers: &[f64],
) -> (f64, f64) {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    // By id, so that the sum does not depend on the order of the customers.
    let mut customers = BTreeMap::<&str, f64>::new();
    for (row, number) in rows.zip(numbers) {
        *customers.entry(dataset.rows.customer_id(row)).or_default() += number - mean;
    }
    (mean, customers.values().map(|sum| sum * sum).sum::<f64>().sqrt() / n)
}
