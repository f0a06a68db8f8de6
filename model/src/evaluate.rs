//! How good probabilities are against what happened.
//!
//! Outcomes are booleans, probabilities lie strictly between 0 and 1; both slices have one entry a
//! row and at least one row of each outcome.

use serde::{Deserialize, Serialize};

/// Bins of the reliability diagram and of the calibration error.
const BINS: usize = 10;

/// The metrics of one set of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows judged.
    pub rows: usize,
    /// Rows with the outcome.
    pub positives: usize,
    /// Area under the ROC curve; ½ is chance.
    pub auc: f64,
    /// Area under the precision-recall curve (average precision).
    pub pr_auc: f64,
    /// Mean negative log-likelihood, natural logarithm.
    pub log_loss: f64,
    /// Mean squared error (Brier 1950).
    pub brier: f64,
    /// Expected calibration error over ten bins of equal size.
    pub ece: f64,
    /// How many times likelier than average the likeliest tenth had the outcome.
    pub lift_at_10_percent: f64,
}

/// One bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Rows in the bin.
    pub rows: usize,
    /// Mean probability.
    pub predicted: f64,
    /// Share with the outcome.
    pub observed: f64,
}

impl Metrics {
    /// Judges `probabilities` against `outcomes`.
    #[must_use]
    pub fn new(probabilities: &[f64], outcomes: &[bool]) -> Self {
        let rows = outcomes.len();
        let mean = |term: &dyn Fn(f64, bool) -> f64| {
            probabilities.iter().zip(outcomes).map(|(p, y)| term(*p, *y)).sum::<f64>() / rows as f64
        };
        Self {
            rows,
            positives: outcomes.iter().filter(|outcome| **outcome).count(),
            auc: auc(probabilities, outcomes),
            pr_auc: average_precision(probabilities, outcomes),
            log_loss: mean(&|p, y| -(if y { p } else { 1.0 - p }).ln()),
            brier: mean(&|p, y| (p - f64::from(u8::from(y))).powi(2)),
            ece: reliability(probabilities, outcomes)
                .iter()
                .map(|bin| (bin.predicted - bin.observed).abs() * bin.rows as f64)
                .sum::<f64>()
                / rows as f64,
            lift_at_10_percent: lift(probabilities, outcomes, 0.1),
        }
    }
}

/// −ln P(outcome) at these log-odds, without overflow.
#[must_use]
pub fn log_loss_of_log_odds(log_odds: f64, outcome: bool) -> f64 {
    let z = if outcome { -log_odds } else { log_odds };
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Groups of rows with equal probability, likeliest first: (rows, positives).
fn groups(probabilities: &[f64], outcomes: &[bool]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order
        .chunk_by(|a, b| probabilities[*a] == probabilities[*b])
        .map(|group| (group.len(), group.iter().filter(|row| outcomes[**row]).count()))
        .collect()
}

/// P(a row with the outcome has the greater probability), ties counting half (Mann and Whitney 1947).
#[must_use]
pub fn auc(probabilities: &[f64], outcomes: &[bool]) -> f64 {
    let (mut above, mut pairs) = (0.0, 0.0);
    let (mut all_positives, mut all_negatives) = (0.0, 0.0);
    for (rows, positives) in groups(probabilities, outcomes) {
        let (positives, negatives) = (positives as f64, (rows - positives) as f64);
        above += negatives * (all_positives + 0.5 * positives);
        all_positives += positives;
        all_negatives += negatives;
        pairs = all_positives * all_negatives;
    }
    above / pairs
}

/// Σ (recall gained × precision) over the distinct thresholds.
fn average_precision(probabilities: &[f64], outcomes: &[bool]) -> f64 {
    let (mut seen, mut found, mut sum) = (0, 0, 0.0);
    for (rows, positives) in groups(probabilities, outcomes) {
        seen += rows;
        found += positives;
        sum += positives as f64 * found as f64 / seen as f64;
    }
    sum / found as f64
}

/// Outcome rate of the likeliest `share` of rows over the rate of all; rows tied at the edge count
/// by their mean.
fn lift(probabilities: &[f64], outcomes: &[bool], share: f64) -> f64 {
    let wanted = (outcomes.len() as f64 * share).max(1.0);
    let (mut seen, mut found) = (0.0, 0.0);
    let mut all = 0;
    for (rows, positives) in groups(probabilities, outcomes) {
        let taken = (wanted - seen).min(rows as f64);
        found += positives as f64 * taken / rows as f64;
        seen += taken;
        all += positives;
    }
    (found / wanted) / (all as f64 / outcomes.len() as f64)
}

/// Bins of equal size (±1 row) by rising probability. Rows of equal probability share their
/// outcomes evenly, so that their order does not matter.
#[must_use]
pub fn reliability(probabilities: &[f64], outcomes: &[bool]) -> Vec<ReliabilityBin> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let observed: Vec<f64> = order
        .chunk_by(|a, b| probabilities[*a] == probabilities[*b])
        .flat_map(|group| {
            let positives = group.iter().filter(|row| outcomes[**row]).count();
            std::iter::repeat_n(positives as f64 / group.len() as f64, group.len())
        })
        .collect();
    let edge = |bin: usize| bin * order.len() / BINS;
    (0..BINS)
        .map(|bin| edge(bin)..edge(bin + 1))
        .filter(|rows| !rows.is_empty())
        .map(|rows| {
            let n = rows.len() as f64;
            ReliabilityBin {
                rows: rows.len(),
                predicted: order[rows.clone()].iter().map(|row| probabilities[*row]).sum::<f64>() / n,
                observed: observed[rows].iter().sum::<f64>() / n,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f64; 10] = [0.1, 0.4, 0.35, 0.8, 0.4, 0.65, 0.9, 0.2, 0.55, 0.3];
    const Y: [bool; 10] = [false, false, true, true, true, false, true, false, true, false];

    #[test]
    fn metrics_equal_their_definitions() {
        // Counted pair by pair and threshold by threshold in another language.
        let metrics = Metrics::new(&P, &Y);
        assert!((metrics.auc - 0.82).abs() < 1e-12, "{}", metrics.auc);
        assert!((metrics.pr_auc - 0.826_190_476_190_476_3).abs() < 1e-12, "{}", metrics.pr_auc);
        assert!((metrics.log_loss - 0.513_828_068_327_592_6).abs() < 1e-12, "{}", metrics.log_loss);
        assert!((metrics.brier - 0.175_75).abs() < 1e-12, "{}", metrics.brier);
    }

    #[test]
    fn ties_count_half() {
        assert_eq!(auc(&[0.5, 0.5, 0.5, 0.5], &[true, false, true, false]), 0.5);
        assert_eq!(auc(&[0.9, 0.5, 0.5, 0.1], &[true, true, false, false]), 0.875);
        let metrics = Metrics::new(&[0.25; 20], &[[true].as_slice(), &[false; 3]].concat().repeat(5));
        assert_eq!(metrics.lift_at_10_percent, 1.0, "the base rate lifts nothing");
        assert_eq!(metrics.ece, 0.0, "and is calibrated");
    }

    #[test]
    fn the_likeliest_tenth_is_lifted() {
        let outcomes: Vec<bool> = (0..100).map(|n| n >= 90).collect();
        let probabilities: Vec<f64> = (0..100).map(|n| f64::from(n) / 101.0 + 0.001).collect();
        assert_eq!(Metrics::new(&probabilities, &outcomes).lift_at_10_percent, 10.0);
        let bins = reliability(&probabilities, &outcomes);
        assert_eq!(bins.len(), 10);
        assert_eq!((bins[9].rows, bins[9].observed, bins[8].observed), (10, 1.0, 0.0));
    }

    #[test]
    fn the_loss_is_right_where_a_probability_would_be_0_or_1() {
        assert!((log_loss_of_log_odds(0.3, true) - -(1.0 / (1.0 + (-0.3_f64).exp())).ln()).abs() < 1e-15);
        assert_eq!(log_loss_of_log_odds(-800.0, true), 800.0);
        assert_eq!(log_loss_of_log_odds(800.0, true), 0.0);
    }
}
