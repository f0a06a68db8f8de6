//! How well the evaluated model predicts on the holdout: its metrics, those of the baselines, and plots.

use tally_model::{
    artifact::Card,
    evaluation::metrics::{Curves, Histogram, Metrics, ReliabilityBin},
};

use crate::report::plots::{Axis, BLUE, Chart, GREY, Mark, ORANGE, Plot, PlotError, short_number};

const SIZE: (u32, u32) = (356, 300);
/// What the figures are of; the model that serves is fitted again, to all snapshots.
const EVALUATED: &str = "evaluated model";

/// The metrics and the plots of the holdout.
pub(super) struct HoldoutView<'a> {
    /// The evaluated model, the same before recalibration where there is one, and the baselines.
    pub models: Vec<(String, &'a Metrics)>,
    pub reliability: Plot,
    pub roc: Plot,
    pub precision_recall: Plot,
    pub lift: Plot,
    pub scores: Plot,
}

impl<'a> HoldoutView<'a> {
    /// `scores` are probabilities and labels of the holdout, or of a sample of it, with some of each label.
    pub fn new(card: &'a Card, scores: &[(f64, bool)]) -> Result<Self, PlotError> {
        let (probabilities, labels): (Vec<f64>, Vec<bool>) = scores.iter().copied().unzip();
        let curves = Curves::new(&probabilities, &labels);
        let base_rate = card.holdout.positives as f64 / card.holdout.rows as f64;
        Ok(Self {
            models: models(card),
            reliability: reliability(card)?,
            roc: roc(curves.roc)?,
            precision_recall: precision_recall(curves.precision_recall, base_rate)?,
            lift: lift(curves.lift)?,
            scores: score_histogram(&curves.histogram)?,
        })
    }
}

fn models(card: &Card) -> Vec<(String, &Metrics)> {
    let mut models = vec![(EVALUATED.to_owned(), &card.holdout)];
    if card.evaluated.calibration.is_some() {
        models.push(("before recalibration".to_owned(), &card.uncalibrated));
    }
    models.extend(card.baselines.iter().map(|(name, metrics)| (name.clone(), metrics)));
    models
}

fn reliability(card: &Card) -> Result<Plot, PlotError> {
    let bins = card.reliability.iter().chain(&card.uncalibrated_reliability);
    let high = bins.flat_map(|bin| [bin.predicted, bin.observed]).fold(0.0, f64::max).min(1.0);
    let points =
        |bins: &[ReliabilityBin]| bins.iter().map(|bin| (bin.predicted, bin.observed)).collect::<Vec<_>>();
    let mut marks = vec![Mark::Dashed(GREY, vec![(0.0, 0.0), (high, high)])];
    if card.evaluated.calibration.is_some() {
        marks.push(Mark::Dots(ORANGE, points(&card.uncalibrated_reliability)));
    }
    marks.push(Mark::Dots(BLUE, points(&card.reliability)));
    let (x, y) = ((Axis::shares(high), "predicted"), (Axis::shares(high), "observed"));
    Chart { title: "Reliability diagram", size: SIZE, x, y, marks }.draw()
}

fn roc(curve: Vec<(f64, f64)>) -> Result<Plot, PlotError> {
    let chance = Mark::Dashed(GREY, vec![(0.0, 0.0), (1.0, 1.0)]);
    let x = (Axis::shares(1.0), "false positive rate");
    let y = (Axis::shares(1.0), "true positive rate");
    Chart { title: "ROC curve", size: SIZE, x, y, marks: vec![chance, Mark::Line(BLUE, curve)] }.draw()
}

fn precision_recall(curve: Vec<(f64, f64)>, base_rate: f64) -> Result<Plot, PlotError> {
    let chance = Mark::Dashed(GREY, vec![(0.0, base_rate), (1.0, base_rate)]);
    let (x, y) = ((Axis::shares(1.0), "recall"), (Axis::shares(1.0), "precision"));
    let marks = vec![chance, Mark::Line(BLUE, curve)];
    Chart { title: "Precision-recall curve", size: SIZE, x, y, marks }.draw()
}

fn lift(curve: Vec<(f64, f64)>) -> Result<Plot, PlotError> {
    let high = curve.iter().map(|(_, lift)| *lift).fold(1.0, f64::max) * 1.05;
    let chance = Mark::Dashed(GREY, vec![(0.0, 1.0), (1.0, 1.0)]);
    let x = (Axis::shares(1.0), "share of rows, most likely first");
    let y = (Axis::numbers(0.0, high, 5, short_number), "times the average rate");
    Chart { title: "Lift", size: SIZE, x, y, marks: vec![chance, Mark::Line(BLUE, curve)] }.draw()
}

fn score_histogram(histogram: &Histogram) -> Result<Plot, PlotError> {
    let edge = |n: usize| n as f64 * histogram.width;
    let bars = |shares: &[f64]| -> Vec<(f64, f64, f64)> {
        shares.iter().enumerate().map(|(n, share)| (edge(n), edge(n + 1), *share)).collect()
    };
    let high = histogram.positives.iter().chain(&histogram.negatives).copied().fold(0.0, f64::max);
    let marks =
        vec![Mark::Bars(BLUE, bars(&histogram.negatives)), Mark::Bars(ORANGE, bars(&histogram.positives))];
    let x = (Axis::shares(edge(histogram.positives.len())), "probability");
    let y = (Axis::shares(high), "share of the rows with that outcome");
    Chart { title: "Distribution of the scores by outcome", size: SIZE, x, y, marks }.draw()
}
