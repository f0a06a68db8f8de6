//! Training: snapshots -> split -> selection of a recipe -> evaluation on the holdout -> the same again
//! on all rows -> artifact. The same rows, spec and seed give the same bytes.

use crate::{
    artifact::{Artifact, SplitKind},
    counted,
    evaluation::metrics::{Metrics, reliability},
    features::{Plan, bg_nbd::Purchases, profile::LeadAges},
    label::LabelDefinition,
    spec::Spec,
    time::Time,
    training::{
        baselines::baselines,
        dataset::Dataset,
        fit::FitError,
        fitted_model::{FittedModel, HoldoutEvaluation, Task},
        snapshot::Snapshots,
        split::{FEWEST_OF_A_CLASS, Part, random_split, temporal_split},
    },
};

/// The fewest snapshots that a model is trained on.
const FEWEST_ROWS: usize = 200;
/// The difference in log-odds is between probabilities clamped to these. Beyond, log-odds have no end: whether a model
/// says 1e-10 or 1e-42 changes no decision, but is a difference of 74, and a few such rows would outweigh all others.
const DISTINGUISHED: [f64; 2] = [0.001, 0.999];

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct TrainingOptions {
    /// The wanted kind of holdout; a temporal one needs enough data on both sides.
    pub split: SplitKind,
    /// The seed of all random choices.
    pub seed: u64,
}

/// What to train.
#[derive(Clone, Copy, Debug)]
pub struct TrainingInput<'a> {
    /// The spec, which the artifact keeps.
    pub spec: &'a Spec,
    /// What is predicted.
    pub outcome: &'a LabelDefinition,
    /// The moment of the training: nothing later was read.
    pub as_of: Time,
    /// The ages of the leads at that moment.
    pub lead_ages: &'a LeadAges,
    /// How to train.
    pub options: TrainingOptions,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// Too few rows.
    #[error(
        "too little data: have {}, {positives} with the outcome and {} without; need {FEWEST_ROWS} snapshots, \
         {FEWEST_OF_A_CLASS} of each",
        counted(*.rows, "snapshot", "snapshots"),
        .rows - .positives
    )]
    TooLittle {
        /// The number of snapshots.
        rows: usize,
        /// How many of them have the outcome.
        positives: usize,
    },
    /// All rows of the training part or of the holdout have the same label.
    #[error(
        "too little data: have {positives} of {snapshots} with the outcome in one part of the {split} split; \
         need some with and some without it: more customers, or another --seed",
        snapshots = counted(*.rows, "snapshot", "snapshots"),
        split = SplitKind::Random.name()
    )]
    OneSided {
        /// The number of snapshots in the part.
        rows: usize,
        /// How many of them have the outcome.
        positives: usize,
    },
    /// Every feature has the same value in all rows.
    #[error("no feature varies over the {}: there is nothing to learn from", counted(*.0, "snapshot", "snapshots"))]
    NothingVaries(usize),
    /// The optimum was not found.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// A trained model and its evaluation.
#[derive(Debug)]
pub struct Trained {
    /// The model.
    pub artifact: Artifact,
    /// The model that was evaluated: it was fitted to the training part alone.
    pub evaluated: Artifact,
    /// The part of each snapshot in the evaluation.
    pub parts: Vec<Part>,
    /// The rows of the holdout and their probabilities by the evaluated model.
    pub holdout: Vec<(usize, f64)>,
}

/// Trains on `rows`, whose features are those of `plan`. `step` is called with the name of each step.
///
/// # Errors
/// [`TrainError`] when the data do not suffice.
pub fn train(
    rows: &mut Snapshots,
    plan: Plan,
    input: &TrainingInput<'_>,
    step: &dyn Fn(&str),
) -> Result<Trained, TrainError> {
    let positives = rows.positives();
    if rows.len() < FEWEST_ROWS || positives.min(rows.len() - positives) < FEWEST_OF_A_CLASS {
        return Err(TrainError::TooLittle { rows: rows.len(), positives });
    }
    let Split { kind, parts, everything, training, holdout } = Split::new(rows, input)?;
    let mut task = Task { input, split: kind, evaluated: None, step };

    step("choosing how to fit, on what was before the holdout");
    let seen = latest_purchases(rows, &training);
    let evaluated = FittedModel::fit(rows, plan.clone(), &training, &seen, &task)?;
    let measures = plan.measures();
    let dataset = Dataset { measures: &measures, rows, outcome: input.outcome };
    let (mut evaluation, probabilities) = evaluate(&evaluated, dataset, &training, &holdout)?;
    let evaluated = evaluated.into_artifact(rows, &training, &evaluation, &task)?;

    step("choosing how to fit, on everything");
    let buyers = std::mem::take(&mut rows.buyers);
    task.evaluated = Some(evaluation.study.clone());
    let model = FittedModel::fit(rows, plan, &everything, &buyers, &task)?;
    let dataset = Dataset { measures: &measures, rows, outcome: input.outcome };
    let (_, of_model) = model.probabilities(dataset, &holdout);
    evaluation.log_odds_difference = Some(root_mean_square_difference(&probabilities, &of_model));
    let artifact = model.into_artifact(rows, &everything, &evaluation, &task)?;
    Ok(Trained { artifact, evaluated, parts, holdout: holdout.into_iter().zip(probabilities).collect() })
}

/// The split of the rows.
struct Split {
    kind: SplitKind,
    /// Per row.
    parts: Vec<Part>,
    /// All rows, those of the training part and those of the holdout, by customer id and time. Sums of floating
    /// point numbers depend on their order, which must not be that in which the customers came.
    everything: Vec<usize>,
    training: Vec<usize>,
    holdout: Vec<usize>,
}

impl Split {
    fn new(rows: &Snapshots, input: &TrainingInput<'_>) -> Result<Self, TrainError> {
        let TrainingOptions { split, seed } = input.options;
        let temporal = match split {
            SplitKind::Temporal => temporal_split(rows, input.outcome),
            SplitKind::Random => None,
        };
        let (kind, parts) = match temporal {
            Some(parts) => (SplitKind::Temporal, parts),
            None => (SplitKind::Random, random_split(rows, seed)),
        };
        let mut everything: Vec<usize> = (0..rows.len()).collect();
        everything.sort_by_key(|row| (rows.customer_id(*row), rows.as_of[*row]));
        let part = |wanted: Part| -> Vec<usize> {
            everything.iter().copied().filter(|row| parts[*row] == wanted).collect()
        };
        let (training, holdout) = (part(Part::Train), part(Part::Holdout));
        // A few customers with many snapshots each may all be on one side.
        for part in [&training, &holdout] {
            let positives = part.iter().filter(|row| rows.label[**row]).count();
            if positives == 0 || positives == part.len() {
                return Err(TrainError::OneSided { rows: part.len(), positives });
            }
        }
        Ok(Self { kind, parts, everything, training, holdout })
    }
}

/// Evaluates a model on the holdout; returns the evaluation and the probabilities.
fn evaluate(
    model: &FittedModel,
    dataset: Dataset<'_>,
    training: &[usize],
    holdout: &[usize],
) -> Result<(HoldoutEvaluation, Vec<f64>), FitError> {
    let (uncalibrated, probabilities) = model.probabilities(dataset, holdout);
    let labels = dataset.labels(holdout);
    let evaluation = HoldoutEvaluation {
        holdout: Metrics::new(&probabilities, &labels),
        uncalibrated: Metrics::new(&uncalibrated, &labels),
        baselines: baselines(dataset, training, holdout)?,
        reliability: reliability(&probabilities, &labels),
        uncalibrated_reliability: reliability(&uncalibrated, &labels),
        study: model.selection.study.clone(),
        log_odds_difference: None,
    };
    Ok((evaluation, probabilities))
}

/// The root of the mean square of the differences of the log-odds, within [`DISTINGUISHED`].
fn root_mean_square_difference(a: &[f64], b: &[f64]) -> f64 {
    let [least, greatest] = DISTINGUISHED;
    let log_odds = |p: f64| {
        let p = p.clamp(least, greatest);
        (p / (1.0 - p)).ln()
    };
    let squares = a.iter().zip(b).map(|(a, b)| (log_odds(*a) - log_odds(*b)).powi(2));
    (squares.sum::<f64>() / a.len() as f64).sqrt()
}

/// The purchases of each customer among `chosen` for the BG/NBD model, at the latest row.
fn latest_purchases(rows: &Snapshots, chosen: &[usize]) -> Vec<Purchases> {
    if rows.purchases.is_empty() {
        return Vec::new();
    }
    // The rows of a customer are side by side, the latest last.
    let customers = chosen.chunk_by(|a, b| rows.customer[*a] == rows.customer[*b]);
    customers.filter_map(|of_one| of_one.last()).map(|row| rows.purchases[*row]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::probability;

    #[test]
    fn probabilities_next_to_0_and_1_do_not_decide_how_far_models_differ() {
        let difference = |a: [f64; 2], b: [f64; 2]| root_mean_square_difference(&a, &b);
        let is = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
        assert!(is(difference([0.5, 0.2], [probability(1.0), 0.2]), 0.5_f64.sqrt()));
        assert!(is(difference([0.5, 1e-42], [probability(0.3), 1e-10]), 0.3 * 0.5_f64.sqrt()));
        assert!(is(difference([1.0 - 1e-15, 0.5], [0.9999, 0.5]), 0.0));
        // What matters is still a difference, but a bounded one.
        assert!(is(difference([0.5, 0.5], [1e-42, 1.0 - 1e-15]), 999.0_f64.ln()));
    }
}
