//! Training: snapshots -> split -> choice of how to fit -> evaluation on the holdout -> the same again
//! on everything -> artifact. The same rows, spec and seed give the same bytes.

use std::collections::HashSet;

use crate::{
    artifact::{Artifact, Card, Golden, Study},
    encode::Form,
    evaluation::drift::Reference,
    evaluation::metrics::{Metrics, ReliabilityBin, reliability},
    features::bg_nbd::{self, BgNbd, Purchases},
    features::{Measure, Plan},
    scoring::{Scorer, probability},
    spec::{Spec, Target},
    time::Time,
    training::fit::FitError,
    training::selection::{Choice, Dataset, Fitted, Recipe},
    training::snapshot::{
        FEWEST_OF_A_CLASS, LabelDefinition, Part, Snapshots, SplitKind, random_split, temporal_split,
    },
};

/// The fewest snapshots that a model is trained on.
const FEWEST_ROWS: usize = 200;

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
    rows: &mut Snapshots,
    plan: Plan,
    spec: &Spec,
    outcome: LabelDefinition,
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
    // Few customers with many snapshots each may all have fallen on one side.
    for part in [&learn, &judge] {
        let positives = part.iter().filter(|row| rows.label[**row]).count();
        if positives == 0 || positives == part.len() {
            return Err(TrainError::OneSided { rows: part.len(), positives });
        }
    }
    let task = Task { spec, outcome, as_of, split, seed: options.seed, step };

    step("choosing how to fit, on what was before the holdout");
    let seen = latest_purchases(rows, &learn);
    let evaluated = Model::fit(rows, plan.clone(), &learn, &seen, &task)?;
    let measures = plan.measures();
    let table = Dataset { measures: &measures, rows, outcome };
    let (uncalibrated, judged) = evaluated.judge(table, &judge);
    let labels = table.labels(&judge);
    let evaluation = Evaluation {
        holdout: Metrics::new(&judged, &labels),
        uncalibrated: Metrics::new(&uncalibrated, &labels),
        baselines: baselines(table, &learn, &judge, &labels)?,
        reliability: reliability(&judged, &labels),
        uncalibrated_reliability: reliability(&uncalibrated, &labels),
        study: Study::new(&evaluated.choice),
    };
    let evaluated = evaluated.artifact(rows, &learn, &evaluation, &task)?;

    step("choosing how to fit, on everything");
    let buyers = std::mem::take(&mut rows.buyers);
    let model = Model::fit(rows, plan, &everything, &buyers, &task)?;
    let artifact = model.artifact(rows, &everything, &evaluation, &task)?;
    Ok(Trained { artifact, evaluated, parts, holdout: judge.into_iter().zip(judged).collect() })
}

/// What is to be done with whatever rows.
struct Task<'a> {
    spec: &'a Spec,
    outcome: LabelDefinition,
    as_of: Time,
    split: SplitKind,
    seed: u64,
    step: &'a dyn Fn(&str),
}

/// How the holdout went.
struct Evaluation {
    holdout: Metrics,
    uncalibrated: Metrics,
    baselines: Vec<(String, Metrics)>,
    reliability: Vec<ReliabilityBin>,
    uncalibrated_reliability: Vec<ReliabilityBin>,
    study: Study,
}

/// A way to fit, chosen and fitted.
struct Model {
    plan: Plan,
    bg_nbd: Option<bg_nbd::Fitted>,
    choice: Choice,
    fitted: Fitted,
}

impl Model {
    /// Chooses and fits on some rows. The BG/NBD model is fitted to the purchases `seen`.
    fn fit(
        rows: &mut Snapshots,
        mut plan: Plan,
        chosen: &[usize],
        seen: &[Purchases],
        task: &Task<'_>,
    ) -> Result<Self, TrainError> {
        let measures = plan.measures();
        let bg_nbd = foretell(rows, &mut plan, &measures, seen);
        let table = Dataset { measures: &measures, rows, outcome: task.outcome };
        let choice = table.choose(chosen, task.split, task.seed, task.step)?;
        (task.step)("fitting");
        let fitted = table.fit(&choice.recipe, chosen)?.ok_or(TrainError::NothingVaries(chosen.len()))?;
        Ok(Self { plan, bg_nbd, choice, fitted })
    }

    fn calibrated(&self, z: f64) -> f64 {
        self.choice.calibration.as_ref().map_or(z, |curve| curve.apply(z))
    }

    /// The probabilities of some rows, before and after calibration.
    fn judge(&self, table: Dataset<'_>, rows: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let log_odds = self.fitted.fit.log_odds(&table.design(&self.fitted.encoder, rows));
        let calibrated = log_odds.iter().map(|z| probability(self.calibrated(*z))).collect();
        (log_odds.iter().map(|z| probability(*z)).collect(), calibrated)
    }

    /// See [`Artifact::covariance_factor`].
    fn covariance_factor(&self, rows: &Snapshots) -> Result<Vec<f32>, TrainError> {
        let Fitted { fit, rows: within, design, .. } = &self.fitted;
        let customer: Vec<u32> = within.iter().map(|row| rows.customer[*row]).collect();
        let labels: Vec<bool> = within.iter().map(|row| rows.label[*row]).collect();
        let factor = fit.uncertainty(design, &labels, &customer);
        let factor = factor.ok_or(FitError::NotConverged { gradient: f64::INFINITY })?;
        let lines = factor.rows().into_iter().enumerate();
        Ok(lines.flat_map(|(n, row)| row.iter().take(n + 1).map(|x| *x as f32).collect::<Vec<_>>()).collect())
    }

    /// The artifact of a model that was chosen on the rows `chosen`.
    fn artifact(
        self,
        rows: &Snapshots,
        chosen: &[usize],
        evaluation: &Evaluation,
        task: &Task<'_>,
    ) -> Result<Artifact, TrainError> {
        let covariance_factor = self.covariance_factor(rows)?;
        let log_odds = self.fitted.fit.log_odds(&self.fitted.design);
        let probabilities: Vec<f64> = log_odds.iter().map(|z| probability(self.calibrated(*z))).collect();
        let Self { plan, bg_nbd, choice, fitted: Fitted { encoder, fit, rows: within, .. } } = self;
        let moments = || chosen.iter().map(|row| rows.as_of[*row]);
        let watched = encoder.features.iter().map(|feature| feature.place);
        let mut artifact = Artifact {
            outcome: task.outcome,
            spec: task.spec.clone(),
            as_of: task.as_of,
            reference: Reference::new(&plan.measures(), watched, &rows.features, &within, &probabilities),
            quartiles: quartiles(probabilities),
            covariance_factor,
            plan,
            encoder,
            intercept: fit.intercept,
            weights: fit.weights.to_vec(),
            penalty: fit.penalty,
            calibration: choice.calibration.clone(),
            golden: Vec::new(),
            card: Card {
                rows: chosen.len(),
                positives: chosen.iter().filter(|row| rows.label[**row]).count(),
                customers: chosen.iter().map(|row| rows.customer[*row]).collect::<HashSet<_>>().len(),
                from: moments().min().unwrap_or(task.as_of),
                to: moments().max().unwrap_or(task.as_of),
                split: task.split,
                seed: task.seed,
                holdout: evaluation.holdout,
                uncalibrated: evaluation.uncalibrated,
                baselines: evaluation.baselines.clone(),
                reliability: evaluation.reliability.clone(),
                uncalibrated_reliability: evaluation.uncalibrated_reliability.clone(),
                evaluated: evaluation.study.clone(),
                chosen: Study::new(&choice),
                rows_within_reach: within.len(),
                bg_nbd,
            },
        };
        artifact.golden = Golden::of(&Scorer::unchecked(artifact.clone()));
        Ok(artifact)
    }
}

/// Fits the BG/NBD model to `seen` and fills its features in, when the plan has them.
fn foretell(
    rows: &mut Snapshots,
    plan: &mut Plan,
    measures: &[Measure],
    seen: &[Purchases],
) -> Option<bg_nbd::Fitted> {
    let forecast = plan.forecast.as_mut()?;
    let fitted = BgNbd::fit(seen);
    forecast.model = fitted.is_usable().then_some(fitted.model);
    rows.foretell(forecast, measures.len());
    Some(fitted)
}

/// What the BG/NBD model looks at of each customer among `chosen`, at their latest row.
fn latest_purchases(rows: &Snapshots, chosen: &[usize]) -> Vec<Purchases> {
    if rows.purchases.is_empty() {
        return Vec::new();
    }
    // Rows of a customer stand side by side, the latest last.
    let customers = chosen.chunk_by(|a, b| rows.customer[*a] == rows.customer[*b]);
    customers.filter_map(|of_one| of_one.last()).map(|row| rows.purchases[*row]).collect()
}

/// Plain rivals on the same holdout: the base rate, and one feature alone.
fn baselines(
    table: Dataset<'_>,
    learn: &[usize],
    judge: &[usize],
    judged_labels: &[bool],
) -> Result<Vec<(String, Metrics)>, TrainError> {
    let measures = table.measures;
    let rate = learn.iter().filter(|row| table.rows.label[**row]).count() as f64 / learn.len() as f64;
    let mut all = vec![("base_rate".to_owned(), Metrics::new(&vec![rate; judge.len()], judged_labels))];
    let recency = |measure: &Measure| matches!(measure, Measure::DaysSinceLast { .. });
    let purchase = |measure: &Measure| measure.to_string() == "purchase.days_since_last";
    let age = |measure: &Measure| *measure == Measure::TenureDays;
    let alone = match table.outcome.target {
        Target::Churn => {
            measures.iter().find(|m| purchase(m)).or_else(|| measures.iter().find(|m| recency(m)))
        }
        Target::Lead => measures.iter().find(|m| age(m)),
    };
    let place = alone.and_then(|alone| measures.iter().position(|measure| measure == alone));
    if let (Some(measure), Some(place)) = (alone, place) {
        let features = table.rows.features.chunks(measures.len()).map(|row| row[place]).collect();
        let rows = Snapshots { features, ..table.rows.clone() };
        let single = Dataset { measures: std::slice::from_ref(measure), rows: &rows, ..table };
        let recipe =
            Recipe { form: Form::Log, penalty: 1.0, pairs: 0, feature_fraction: 1.0, lookback_days: None };
        if let Some(Fitted { encoder, fit, .. }) = single.fit(&recipe, learn)? {
            let log_odds = fit.log_odds(&single.design(&encoder, judge));
            let judged: Vec<f64> = log_odds.iter().map(|z| probability(*z)).collect();
            all.push((measure.to_string(), Metrics::new(&judged, judged_labels)));
        }
    }
    Ok(all)
}

/// The 25, 50 and 75 % quantiles.
fn quartiles(mut probabilities: Vec<f64>) -> [f64; 3] {
    probabilities.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| probabilities[quarter * (probabilities.len() - 1) / 4])
}
