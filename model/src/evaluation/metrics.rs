//! Metrics: how well probabilities predict outcomes.
//!
//! Outcomes are booleans, probabilities lie strictly between 0 and 1; both slices have one element for each
//! row and at least one row of each outcome. The metrics are ours, since they must not depend on the order
//! of the rows, ties included.

use serde::{Deserialize, Serialize};

/// Bins of the reliability diagram and of the calibration error.
const BINS: usize = 10;
/// About how many points a curve has, and the number of bars of the histogram.
const POINTS: usize = 198;
const BARS: usize = 25;

/// The metrics of one set of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The number of rows.
    pub rows: usize,
    /// The number of rows with the outcome.
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
    /// The rate of the outcome in the tenth with the greatest probabilities, divided by the overall rate.
    pub lift_at_10_percent: f64,
}

/// One bin of the reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// The number of rows.
    pub rows: usize,
    /// Mean probability.
    pub predicted: f64,
    /// Share with the outcome.
    pub observed: f64,
}

/// The curves of one set of probabilities, for plots: points (x, y), the greatest probabilities first, at
/// most 200 each.
#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    /// False positive rate and true positive rate; from (0, 0) to (1, 1).
    pub roc: Vec<(f64, f64)>,
    /// Recall and precision.
    pub precision_recall: Vec<(f64, f64)>,
    /// The share of the rows above the threshold, and their rate of the outcome divided by the overall rate; from
    /// 1 % of the rows on, since fewer show only noise.
    pub lift: Vec<(f64, f64)>,
    /// The distribution of the probabilities.
    pub histogram: Histogram,
}

/// Shares of the rows of each outcome, by probability, in bars of equal width from 0 on.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The width of a bar; the last one holds the greatest probability.
    pub width: f64,
    /// The shares of the rows with the outcome.
    pub positives: Vec<f64>,
    /// The shares of the rows without it.
    pub negatives: Vec<f64>,
}

impl Curves {
    /// The curves of `probabilities` against `outcomes`.
    #[must_use]
    pub fn new(probabilities: &[f64], outcomes: &[bool]) -> Self {
        let above = cumulated(probabilities, outcomes);
        let (all, positives) = above.last().copied().unwrap_or_default();
        let negatives = all - positives;
        let first = std::iter::once((0.0, 0.0));
        let roc = above.iter().map(|(rows, found)| ((rows - found) / negatives, found / positives));
        let precision_recall = above.iter().map(|(rows, found)| (found / positives, found / rows));
        let lift = above.iter().map(|(rows, found)| (rows / all, found / rows / (positives / all)));
        Self {
            roc: first.chain(roc).collect(),
            precision_recall: precision_recall.collect(),
            lift: lift.filter(|(share, _)| *share >= 0.01).collect(),
            histogram: Histogram::new(probabilities, outcomes),
        }
    }
}

impl Histogram {
    fn new(probabilities: &[f64], outcomes: &[bool]) -> Self {
        let greatest = probabilities.iter().copied().fold(0.0, f64::max);
        let width = greatest / BARS as f64;
        let shares = |wanted: bool| {
            let mut bars = vec![0.0; BARS];
            let n = outcomes.iter().filter(|outcome| **outcome == wanted).count() as f64;
            for (p, _) in probabilities.iter().zip(outcomes).filter(|(_, outcome)| **outcome == wanted) {
                bars[((p / width) as usize).min(BARS - 1)] += 1.0 / n;
            }
            bars
        };
        Self { width, positives: shares(true), negatives: shares(false) }
    }
}

/// The number of rows above a threshold and of positives among them, for each of about [`POINTS`] thresholds.
fn cumulated(probabilities: &[f64], outcomes: &[bool]) -> Vec<(f64, f64)> {
    let step = outcomes.len() as f64 / POINTS as f64;
    let mut points: Vec<(f64, f64)> = Vec::new();
    let (mut seen, mut found, mut next) = (0, 0, 0.0);
    for (rows, positives) in groups(probabilities, outcomes) {
        (seen, found) = (seen + rows, found + positives);
        if seen as f64 >= next || seen == outcomes.len() {
            points.push((seen as f64, found as f64));
            next = seen as f64 + step;
        }
    }
    points
}

impl Metrics {
    /// The metrics of `probabilities` against `outcomes`.
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
            log_loss: losses(probabilities, outcomes).sum::<f64>() / rows as f64,
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

/// The negative log-likelihood of each row.
pub(super) fn losses(probabilities: &[f64], outcomes: &[bool]) -> impl Iterator<Item = f64> {
    probabilities.iter().zip(outcomes).map(|(p, y)| -(if *y { *p } else { 1.0 - p }).ln())
}

/// −ln P(outcome) at these log-odds, without overflow.
#[must_use]
pub fn log_loss_of_log_odds(log_odds: f64, outcome: bool) -> f64 {
    let z = if outcome { -log_odds } else { log_odds };
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// Groups of rows with equal probability, the greatest first: (rows, positives).
pub(super) fn groups(probabilities: &[f64], outcomes: &[bool]) -> Vec<(usize, usize)> {
    let mut order: Vec<usize> = (0..outcomes.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order
        .chunk_by(|a, b| probabilities[*a] == probabilities[*b])
        .map(|group| (group.len(), group.iter().filter(|row| outcomes[**row]).count()))
        .collect()
}

/// P(a row with the outcome has the greater probability than one without), ties counting half (Mann and
/// Whitney 1947).
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

/// The rate of the outcome in the `share` of rows with the greatest probabilities, divided by the overall rate;
/// rows tied at the edge count by their mean.
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
        // Computed pair by pair and threshold by threshold in another language.
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
        assert_eq!(metrics.lift_at_10_percent, 1.0, "the base rate has no lift");
        assert_eq!(metrics.ece, 0.0, "and is calibrated");
    }

    #[test]
    fn lift_is_that_of_the_top_tenth() {
        let outcomes: Vec<bool> = (0..100).map(|n| n >= 90).collect();
        let probabilities: Vec<f64> = (0..100).map(|n| f64::from(n) / 101.0 + 0.001).collect();
        assert_eq!(Metrics::new(&probabilities, &outcomes).lift_at_10_percent, 10.0);
        let bins = reliability(&probabilities, &outcomes);
        assert_eq!(bins.len(), 10);
        assert_eq!((bins[9].rows, bins[9].observed, bins[8].observed), (10, 1.0, 0.0));
    }

    /// The area under points by the trapezoidal rule.
    fn area(points: &[(f64, f64)]) -> f64 {
        points.windows(2).map(|two| (two[1].0 - two[0].0) * (two[0].1 + two[1].1) / 2.0).sum()
    }

    #[test]
    fn curves_equal_their_definitions() {
        let curves = Curves::new(&P, &Y);
        // In falling order: .9 and .8 are positive, .65 is not, .55 is, one of the two .4 is, .35 is, the rest are not.
        let found = [(1, 1), (2, 2), (3, 2), (4, 3), (6, 4), (7, 5), (8, 5), (9, 5), (10, 5)];
        let found = found.map(|(rows, found)| (f64::from(rows), f64::from(found)));
        let roc: Vec<_> = found.iter().map(|(n, k)| ((n - k) / 5.0, k / 5.0)).collect();
        assert_eq!((curves.roc[0], &curves.roc[1..]), ((0.0, 0.0), roc.as_slice()));
        assert!((area(&curves.roc) - 0.82).abs() < 1e-12);
        assert_eq!(curves.precision_recall, found.map(|(n, k)| (k / 5.0, k / n)));
        assert_eq!(curves.lift, found.map(|(n, k)| (n / 10.0, k / n / 0.5)));
        let histogram = &curves.histogram;
        assert!((histogram.width - 0.9 / 25.0).abs() < 1e-15);
        // .9 in the last bar, .35 in the tenth (.324 to .36).
        assert_eq!(
            (histogram.positives[24], histogram.positives[9], histogram.negatives[24]),
            (0.2, 0.2, 0.0)
        );
        for bars in [&histogram.positives, &histogram.negatives] {
            assert!((bars.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn curves_of_many_rows_are_thinned_and_keep_their_area() {
        let probabilities: Vec<f64> = (0..10_000).map(|n| (f64::from(n) + 0.5) / 10_000.0).collect();
        let outcomes: Vec<bool> = (0..10_000_u32).map(|n| n.wrapping_mul(7919) % 10_000 < n).collect();
        let curves = Curves::new(&probabilities, &outcomes);
        for points in [&curves.roc, &curves.precision_recall, &curves.lift] {
            assert!((100..=200).contains(&points.len()), "{}", points.len());
        }
        assert_eq!(curves.roc.last(), Some(&(1.0, 1.0)));
        assert_eq!(curves.lift.last(), Some(&(1.0, 1.0)));
        assert!((area(&curves.roc) - auc(&probabilities, &outcomes)).abs() < 1e-3);
    }

    #[test]
    fn the_loss_is_right_where_a_probability_would_be_0_or_1() {
        assert!((log_loss_of_log_odds(0.3, true) - -(1.0 / (1.0 + (-0.3_f64).exp())).ln()).abs() < 1e-15);
        assert_eq!(log_loss_of_log_odds(-800.0, true), 800.0);
        assert_eq!(log_loss_of_log_odds(800.0, true), 0.0);
    }
}
