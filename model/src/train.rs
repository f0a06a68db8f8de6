//! Training: snapshots -> split -> encoding -> choice of the penalty -> evaluation on the holdout ->
//! refit on everything -> artifact. The same rows, spec and seed give the same bytes.

use std::collections::HashSet;

use ndarray::Array2;

use crate::{
    artifact::{Artifact, Card},
    encode::Encoder,
    evaluate::{Metrics, log_loss_of_log_odds, reliability},
    features::{Measure, Plan},
    fit::{Fit, FitError, PENALTIES},
    scorer::probability,
    snapshot::{FEWEST_OF_A_CLASS, Outcome, Part, Snapshots, SplitKind, folds, random_split, temporal_split},
    spec::{Spec, Target},
    time::Time,
};

/// The fewest snapshots that a model is trained on.
const FEWEST_ROWS: usize = 200;
/// The customers are dealt into so many parts to choose the penalty.
const FOLDS: usize = 5;
/// Above so many rows a single part is precise enough to choose the penalty.
const PLENTY_OF_ROWS: usize = 20_000;

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The kind of holdout that is wanted; a temporal one needs data enough on both sides.
    pub split: SplitKind,
    /// The seed of all random choices.
    pub seed: u64,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Too few rows to learn from.
    #[error(
        "too little data: have {rows} snapshots, {positives} with the outcome and {} without; \
         need {FEWEST_ROWS} snapshots, {FEWEST_OF_A_CLASS} of each",
        .rows - .positives
    )]
    TooLittle {
        /// Snapshots there are.
        rows: usize,
        /// Those with the outcome.
        positives: usize,
    },
    /// All rows of the training or of the holdout part have the same outcome.
    #[error(
        "too little data: have {positives} of {rows} snapshots with the outcome in one part of the {split} split; \
         need some with and some without it: more customers, or another --seed",
        split = SplitKind::Random.name()
    )]
    OneSided {
        /// Snapshots in the part.
        rows: usize,
        /// Those with the outcome.
        positives: usize,
    },
    /// Every feature has the same value in all rows.
    #[error("no feature varies over the {0} snapshots: there is nothing to learn from")]
    NothingVaries(usize),
    /// The optimum was not found.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// A trained model and how its holdout went.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub artifact: Artifact,
    /// The model as it was evaluated: it has learned from nothing but the training part.
    pub evaluated: Artifact,
    /// Per snapshot, what it was used for in the evaluation.
    pub parts: Vec<Part>,
    /// The holdout's rows and the probabilities that the evaluated fit gave them.
    pub holdout: Vec<(usize, f64)>,
}

/// Trains on `rows`, whose features are those of `plan`. `step` hears what is being done.
///
/// # Errors
/// [`TrainError`] when the data do not suffice.
pub fn train(
    rows: &Snapshots,
    plan: Plan,
    spec: &Spec,
    outcome: Outcome,
    as_of: Time,
    options: Options,
    step: &dyn Fn(&str),
) -> Result<Trained, TrainError> {
    let positives = rows.positives();
    if rows.len() < FEWEST_ROWS || positives.min(rows.len() - positives) < FEWEST_OF_A_CLASS {
        return Err(TrainError::TooLittle { rows: rows.len(), positives });
    }
    let (split, parts) = match options.split {
        SplitKind::Temporal => temporal_split(rows, outcome).map(|parts| (SplitKind::Temporal, parts)),
        SplitKind::Random => None,
    }
    .unwrap_or_else(|| (SplitKind::Random, random_split(rows, options.seed)));
    // Sums of floating point numbers depend on their order: it is that of the ids, however they came.
    let mut everything: Vec<usize> = (0..rows.len()).collect();
    everything.sort_by_key(|row| (rows.customer_id(*row), rows.as_of[*row]));
    let part =
        |wanted: Part| everything.iter().copied().filter(|row| parts[*row] == wanted).collect::<Vec<_>>();
    let (learn, judge) = (part(Part::Train), part(Part::Holdout));
    let judged_labels = labels(rows, &judge);
    // Few customers with many snapshots each may all have fallen on one side.
    for part in [&labels(rows, &learn), &judged_labels] {
        let positives = part.iter().filter(|label| **label).count();
        if positives == 0 || positives == part.len() {
            return Err(TrainError::OneSided { rows: part.len(), positives });
        }
    }

    step("choosing the penalty");
    let measures = plan.measures();
    let penalty = choose_penalty(&measures, rows, &learn, options.seed)?;
    step("evaluating on the holdout");
    let evaluated = Design::fit(&measures, rows, &learn, penalty)?;
    let judged = evaluated.probabilities(rows, &judge);
    let baselines = baselines(&measures, outcome.target, rows, &learn, &judge, &judged_labels)?;
    step("fitting to everything");
    let design = Design::fit(&measures, rows, &everything, penalty)?;
    let artifact = |design: Design, chosen: &[usize], plan: Plan| {
        let moments = || chosen.iter().map(|row| rows.as_of[*row]);
        Ok::<_, TrainError>(Artifact {
            outcome,
            spec: spec.clone(),
            as_of,
            quartiles: quartiles(design.fit.log_odds(&design.x).iter().map(|z| probability(*z)).collect()),
            whitener: design.whitener(rows, chosen)?,
            plan,
            encoder: design.encoder,
            intercept: design.fit.intercept,
            weights: design.fit.weights.to_vec(),
            penalty,
            card: Card {
                rows: chosen.len(),
                positives: labels(rows, chosen).into_iter().filter(|label| *label).count(),
                customers: chosen.iter().map(|row| rows.customer[*row]).collect::<HashSet<_>>().len(),
                from: moments().min().unwrap_or(as_of),
                to: moments().max().unwrap_or(as_of),
                split,
                seed: options.seed,
                holdout: Metrics::new(&judged, &judged_labels),
                baselines: baselines.clone(),
                reliability: reliability(&judged, &judged_labels),
            },
        })
    };
    let evaluated = artifact(evaluated, &learn, plan.clone())?;
    let artifact = artifact(design, &everything, plan)?;
    Ok(Trained { artifact, evaluated, parts, holdout: judge.into_iter().zip(judged).collect() })
}

/// An encoder and a regression, fitted to the same rows.
struct Design {
    encoder: Encoder,
    x: Array2<f64>,
    fit: Fit,
    raw_width: usize,
}

impl Design {
    fn fit(
        measures: &[Measure],
        rows: &Snapshots,
        chosen: &[usize],
        penalty: f64,
    ) -> Result<Self, TrainError> {
        let encoder = Encoder::fit(measures, &rows.features, chosen);
        if encoder.width() == 0 {
            return Err(TrainError::NothingVaries(chosen.len()));
        }
        let x = encoder.matrix(&rows.features, measures.len(), chosen);
        let fit = Fit::new(&x, &labels(rows, chosen), penalty, None)?;
        Ok(Self { encoder, x, fit, raw_width: measures.len() })
    }

    fn probabilities(&self, rows: &Snapshots, chosen: &[usize]) -> Vec<f64> {
        let x = self.encoder.matrix(&rows.features, self.raw_width, chosen);
        self.fit.log_odds(&x).iter().map(|z| probability(*z)).collect()
    }

    /// See [`Artifact::whitener`].
    fn whitener(&self, rows: &Snapshots, chosen: &[usize]) -> Result<Vec<f64>, TrainError> {
        let whitener = self
            .fit
            .whitener(&self.x, &labels(rows, chosen))
            .ok_or(FitError::NotConverged { gradient: f64::INFINITY })?;
        Ok(whitener
            .rows()
            .into_iter()
            .enumerate()
            .flat_map(|(n, row)| row.to_vec().into_iter().take(n + 1))
            .collect())
    }
}

fn labels(rows: &Snapshots, chosen: &[usize]) -> Vec<bool> {
    chosen.iter().map(|row| rows.label[*row]).collect()
}

/// The penalty with the least log loss on customers that were not learned from.
fn choose_penalty(
    measures: &[Measure],
    rows: &Snapshots,
    chosen: &[usize],
    seed: u64,
) -> Result<f64, TrainError> {
    let fold = folds(rows, seed, FOLDS);
    let mut losses = [0.0; PENALTIES.len()];
    let tried = if chosen.len() > PLENTY_OF_ROWS { 1 } else { FOLDS };
    for validation in 0..tried {
        let (judge, learn): (Vec<usize>, Vec<usize>) =
            chosen.iter().partition(|row| fold[**row] == validation);
        let (learn_labels, judge_labels) = (labels(rows, &learn), labels(rows, &judge));
        let encoder = Encoder::fit(measures, &rows.features, &learn);
        if encoder.width() == 0 || learn_labels.iter().all(|y| *y == learn_labels[0]) {
            continue;
        }
        let x = encoder.matrix(&rows.features, measures.len(), &learn);
        let judged = encoder.matrix(&rows.features, measures.len(), &judge);
        let mut fit: Option<Fit> = None;
        for (penalty, loss) in PENALTIES.iter().zip(&mut losses) {
            let next = Fit::new(&x, &learn_labels, *penalty, fit.as_ref())?;
            let log_odds = next.log_odds(&judged);
            *loss +=
                log_odds.iter().zip(&judge_labels).map(|(z, y)| log_loss_of_log_odds(*z, *y)).sum::<f64>();
            fit = Some(next);
        }
    }
    let least = losses.iter().zip(PENALTIES).fold((f64::INFINITY, PENALTIES[0]), |best, (loss, penalty)| {
        if *loss < best.0 { (*loss, penalty) } else { best }
    });
    Ok(least.1)
}

/// Plain rivals on the same holdout: the base rate, and one feature alone.
fn baselines(
    measures: &[Measure],
    target: Target,
    rows: &Snapshots,
    learn: &[usize],
    judge: &[usize],
    judged_labels: &[bool],
) -> Result<Vec<(String, Metrics)>, TrainError> {
    let learn_labels = labels(rows, learn);
    let rate = learn_labels.iter().filter(|label| **label).count() as f64 / learn.len() as f64;
    let mut all = vec![("base_rate".to_owned(), Metrics::new(&vec![rate; judge.len()], judged_labels))];
    let recency = |measure: &Measure| matches!(measure, Measure::DaysSinceLast { .. });
    let purchase = |measure: &Measure| measure.to_string() == "purchase.days_since_last";
    let age = |measure: &Measure| *measure == Measure::TenureDays;
    let alone = match target {
        Target::Churn => {
            measures.iter().find(|m| purchase(m)).or_else(|| measures.iter().find(|m| recency(m)))
        }
        Target::Lead => measures.iter().find(|m| age(m)),
    };
    let place = alone.and_then(|alone| measures.iter().position(|measure| measure == alone));
    if let (Some(measure), Some(place)) = (alone, place) {
        let single = Snapshots {
            features: rows.features.chunks(measures.len()).map(|row| row[place]).collect(),
            ..rows.clone()
        };
        match Design::fit(std::slice::from_ref(measure), &single, learn, 1.0) {
            Ok(design) => {
                let metrics = Metrics::new(&design.probabilities(&single, judge), judged_labels);
                all.push((measure.to_string(), metrics));
            }
            Err(TrainError::NothingVaries(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The 25, 50 and 75 % quantiles.
fn quartiles(mut probabilities: Vec<f64>) -> [f64; 3] {
    probabilities.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| probabilities[quarter * (probabilities.len() - 1) / 4])
}
