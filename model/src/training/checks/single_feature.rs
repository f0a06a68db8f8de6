//! How well each feature predicts the outcome by itself.

use super::{CheckInput, FailedCheck};
use crate::{counted, features::Measure};

/// Rows, or customers, that are looked at; more are sampled evenly.
const ROWS: usize = 20_000;
/// The most bins of a number.
const BINS: usize = 20;
/// A feature with this AUC by itself says something about the outcome.
const INFORMATIVE: f64 = 0.55;
/// A model of fewer informative features than this is remarkable.
const FEWEST_INFORMATIVE: usize = 3;

/// The features of a model and how well each predicts by itself.
pub(super) struct SingleFeatures {
    /// All features of the plan, with the AUC.
    pub(super) features: Vec<(Measure, f64)>,
    /// The names of those that the model uses and that say something.
    informative: Vec<String>,
    /// The number of features that the model uses.
    used: usize,
}

impl SingleFeatures {
    pub(super) fn new(input: &CheckInput<'_>) -> Self {
        let artifact = &input.trained.artifact;
        let measures = artifact.plan.measures();
        let width = measures.len();
        let rows = &input.rows;
        let value = |row: usize, place: usize| rows.features[row * width + place];
        let sampled: Vec<usize> = (0..rows.len()).step_by(rows.len().div_ceil(ROWS).max(1)).collect();
        let customers = last_rows(&rows.customer, &rows.ended);
        let step = customers.len().div_ceil(ROWS).max(1);
        let single = |(place, measure): (usize, &Measure)| {
            let category = measure.is_category();
            let of_rows = sampled.iter().map(|row| (value(*row, place), rows.label[*row])).collect();
            let mut best = auc(of_rows, category);
            // What the outcome fills in has its value in all snapshots of a customer, also in those long before it. So
            // each customer counts once, by what has become of it.
            if matches!(measure, Measure::Attribute { .. }) {
                let ended = customers.iter().step_by(step);
                best =
                    best.max(auc(ended.map(|(row, ended)| (value(*row, place), *ended)).collect(), category));
            }
            (measure.clone(), best)
        };
        let features: Vec<(Measure, f64)> = measures.iter().enumerate().map(single).collect();
        let used = &artifact.encoder.features;
        let informative = used.iter().filter(|feature| features[feature.place].1 >= INFORMATIVE);
        let informative = informative.map(|feature| feature.measure.to_string()).collect();
        Self { used: used.len(), informative, features }
    }

    /// Next to no feature says anything.
    pub(super) fn too_few(&self) -> Option<FailedCheck> {
        if self.informative.len() >= FEWEST_INFORMATIVE {
            return None;
        }
        let which = match self.informative.as_slice() {
            [] => "none of them says".to_owned(),
            [one] => format!("only {one} says"),
            several => format!("only {} say", several.join(" and ")),
        };
        let message = format!(
            "the model has {}, and {which} anything about the outcome alone (AUC of at least {INFORMATIVE})",
            counted(self.used, "feature", "features")
        );
        let remedy =
            "import further kinds of interactions or attributes, or let the spec use those that are stored";
        Some(FailedCheck::remark("FEW_FEATURES", message, remedy.to_owned()))
    }
}

/// The last row of each customer, and what `ended` has of it. The rows of a customer are side by side.
fn last_rows(customer: &[u32], ended: &[bool]) -> Vec<(usize, bool)> {
    let last = |own: &[u32], end: usize| (end - 1, ended[own[0] as usize]);
    let mut end = 0;
    let of = |own: &[u32]| {
        end += own.len();
        last(own, end)
    };
    customer.chunk_by(|a, b| a == b).map(of).collect()
}

/// The area under the ROC curve of the rate of the outcome at each value; numbers are binned.
fn auc(mut values: Vec<(f64, bool)>, category: bool) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let fewest = if category { 1 } else { values.len().div_ceil(BINS) };
    let mut bins: Vec<(usize, usize)> = Vec::new();
    let mut missing_began = false;
    for run in values.chunk_by(|a, b| a.0 == b.0 || a.0.is_nan() && b.0.is_nan()) {
        let positives = run.iter().filter(|(_, label)| *label).count();
        let begins_missing = run[0].0.is_nan() && !missing_began;
        missing_began |= begins_missing;
        match bins.last_mut() {
            Some(bin) if bin.0 < fewest && run.len() < fewest && !begins_missing => {
                *bin = (bin.0 + run.len(), bin.1 + positives);
            }
            _ => bins.push((run.len(), positives)),
        }
    }
    area(bins)
}

/// The area for bins of rows and positives, ordered by their rate.
fn area(mut bins: Vec<(usize, usize)>) -> f64 {
    bins.sort_by(|a, b| (a.1 * b.0).cmp(&(b.1 * a.0)));
    let (rows, positives) = bins.iter().fold((0, 0), |sum, bin| (sum.0 + bin.0, sum.1 + bin.1));
    let negatives = rows - positives;
    if positives == 0 || negatives == 0 {
        return 0.5;
    }
    let (mut below, mut area) = (0.0, 0.0);
    for (rows, positives) in bins {
        let own = (rows - positives) as f64;
        area += positives as f64 * (below + own / 2.0);
        below += own;
    }
    area / (positives as f64 * negatives as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_only_the_outcome_has_is_perfect() {
        let amount = |n: usize| if n.is_multiple_of(10) { n as f64 } else { 0.0 };
        assert_eq!(auc((0..1_000).map(|n| (amount(n), n.is_multiple_of(10) && n > 0)).collect(), false), 1.0);
        let text = |n: usize| if n.is_multiple_of(10) { 1.0 } else { f64::NAN };
        assert_eq!(auc((0..1_000).map(|n| (text(n), n.is_multiple_of(10))).collect(), true), 1.0);
        assert_eq!(auc((0..1_000).map(|n| (text(n), !n.is_multiple_of(10))).collect(), true), 1.0);
    }

    #[test]
    fn numbers_are_binned_so_that_ids_say_nothing() {
        let scrambled = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let values = (0..4_000).map(|n| (n as f64, scrambled(n) % 2 == 0)).collect();
        let found = auc(values, false);
        assert!((0.5..0.55).contains(&found), "{found}");
    }

    #[test]
    fn each_customer_counts_once() {
        let found = last_rows(&[0, 0, 1, 2, 2, 2], &[true, false, true]);
        assert_eq!(found, [(1, true), (2, false), (5, true)]);
    }
}
