//! A fitted model: recipe selected, regression and BG/NBD model fitted; and the artifact made of it.

use std::collections::HashSet;

use crate::{
    artifact::{Artifact, CENTS, Card, LeadCoverage, SplitKind, Study},
    evaluation::{
        drift::Reference,
        metrics::{Metrics, ReliabilityBin},
    },
    features::{
        Measure, Plan,
        bg_nbd::{BgNbd, BgNbdFit, Purchases},
    },
    scoring::{Scorer, golden_rows, probability},
    training::{
        dataset::Dataset,
        fit::FitError,
        selection::{SelectionInput, SelectionResult},
        snapshot::Snapshots,
        stacked::StackedFit,
        train::{TrainError, TrainingInput},
    },
};

/// What is the same for the evaluated model and the final one.
pub(super) struct Task<'a> {
    pub(super) input: &'a TrainingInput<'a>,
    pub(super) split: SplitKind,
    /// How the evaluated model was chosen, when that is fitted.
    pub(super) evaluated: Option<Study>,
    pub(super) step: &'a dyn Fn(&str),
}

/// The evaluation on the holdout.
pub(super) struct HoldoutEvaluation {
    pub(super) holdout: Metrics,
    pub(super) uncalibrated: Metrics,
    pub(super) baselines: Vec<(String, Metrics)>,
    pub(super) reliability: Vec<ReliabilityBin>,
    pub(super) uncalibrated_reliability: Vec<ReliabilityBin>,
    pub(super) study: Study,
    /// See [`Card::log_odds_difference`]; None until the final model is fitted.
    pub(super) log_odds_difference: Option<f64>,
}

/// A selected recipe or stack, fitted.
pub(super) struct FittedModel {
    plan: Plan,
    bg_nbd: Option<BgNbdFit>,
    pub(super) selection: SelectionResult,
    fitted: StackedFit,
}

impl FittedModel {
    /// Selects a recipe and fits on some rows. The BG/NBD model is fitted to the purchases `seen`.
    pub(super) fn fit(
        rows: &mut Snapshots,
        mut plan: Plan,
        chosen: &[usize],
        seen: &[Purchases],
        task: &Task<'_>,
    ) -> Result<Self, TrainError> {
        let measures = plan.measures();
        let bg_nbd = fit_forecast(rows, &mut plan, &measures, seen);
        let dataset = Dataset { measures: &measures, rows, outcome: task.input.outcome };
        let input = SelectionInput {
            chosen,
            split: task.split,
            seed: task.input.options.seed,
            evaluated: task.evaluated.as_ref(),
        };
        let selection = dataset.select(&input, task.step)?;
        (task.step)("fitting");
        let fitted = dataset.fit_study(&selection.study, chosen)?;
        let fitted = fitted.ok_or(TrainError::NothingVaries(chosen.len()))?;
        Ok(Self { plan, bg_nbd, selection, fitted })
    }

    /// The probabilities of some rows, before and after calibration.
    pub(super) fn probabilities(&self, dataset: Dataset<'_>, rows: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let log_odds = self.fitted.fit.log_odds(&dataset.design(&self.fitted.encoder, rows));
        let calibrated = log_odds.iter().map(|z| probability(self.calibrate(*z))).collect();
        (log_odds.iter().map(|z| probability(*z)).collect(), calibrated)
    }

    fn calibrate(&self, z: f64) -> f64 {
        self.selection.calibration.as_ref().map_or(z, |curve| curve.apply(z))
    }

    /// See [`Artifact::covariance_factor`].
    fn covariance_factor(&self, rows: &Snapshots) -> Result<Vec<f32>, FitError> {
        let within = &self.fitted.rows;
        let customer: Vec<u32> = within.iter().map(|row| rows.customer[*row]).collect();
        let labels: Vec<bool> = within.iter().map(|row| rows.label[*row]).collect();
        let factor = self.fitted.uncertainty(&labels, &customer);
        let factor = factor.ok_or(FitError::NoUncertainty)?;
        let lines = factor.rows().into_iter().enumerate();
        Ok(lines.flat_map(|(n, row)| row.iter().take(n + 1).map(|x| *x as f32).collect::<Vec<_>>()).collect())
    }

    /// The card of a model whose recipe was selected on the rows `chosen`.
    fn card(
        &self,
        rows: &Snapshots,
        chosen: &[usize],
        evaluation: &HoldoutEvaluation,
        task: &Task<'_>,
    ) -> Card {
        let moments = || chosen.iter().map(|row| rows.as_of[*row]);
        Card {
            rows: chosen.len(),
            positives: chosen.iter().filter(|row| rows.label[**row]).count(),
            customers: chosen.iter().map(|row| rows.customer[*row]).collect::<HashSet<_>>().len(),
            from: moments().min().unwrap_or(task.input.as_of),
            to: moments().max().unwrap_or(task.input.as_of),
            split: task.split,
            seed: task.input.options.seed,
            holdout: evaluation.holdout,
            uncalibrated: evaluation.uncalibrated,
            baselines: evaluation.baselines.clone(),
            reliability: evaluation.reliability.clone(),
            uncalibrated_reliability: evaluation.uncalibrated_reliability.clone(),
            evaluated: evaluation.study.clone(),
            chosen: self.selection.study.clone(),
            log_odds_difference: evaluation.log_odds_difference,
            rows_within_reach: self.fitted.rows.len(),
            bg_nbd: self.bg_nbd.clone(),
            leads: rows.oldest_lead_days.map(|oldest_days| LeadCoverage {
                oldest_days,
                leads: task.input.lead_ages.leads() as usize,
                older: task.input.lead_ages.older_than(oldest_days) as usize,
            }),
        }
    }

    /// The artifact of a model whose recipe was selected on the rows `chosen`.
    pub(super) fn into_artifact(
        self,
        rows: &Snapshots,
        chosen: &[usize],
        evaluation: &HoldoutEvaluation,
        task: &Task<'_>,
    ) -> Result<Artifact, TrainError> {
        let card = self.card(rows, chosen, evaluation, task);
        let covariance_factor = self.covariance_factor(rows)?;
        let Self { plan, selection, fitted: StackedFit { encoder, fit, rows: within, .. }, .. } = self;
        let customers = rows.population.rows(&plan);
        let snapshots =
            (!rows.population.has_quarters()).then(|| latest_snapshots(rows, &within, plan.width()));
        let mut artifact = Artifact {
            outcome: task.input.outcome.clone(),
            spec: task.input.spec.clone(),
            as_of: task.input.as_of,
            reference: Reference::new(&[], [], &[], &[]),
            quartiles: [0.5; 3],
            covariance_factor,
            plan,
            encoder,
            intercept: fit.intercept,
            weights: fit.weights.to_vec(),
            penalty: fit.penalty,
            calibration: selection.calibration,
            golden: Vec::new(),
            card,
            amount_decimals: CENTS,
        };
        let scorer = Scorer::unchecked(artifact.clone());
        artifact.golden = golden_rows(&scorer);
        let (measures, features) = (artifact.plan.measures(), &artifact.encoder.features);
        let probabilities = |raw: &[f64]| -> Vec<f64> {
            raw.chunks(measures.len()).map(|raw| scorer.probability_of(raw)).collect()
        };
        let of_customers = probabilities(&customers);
        // All customers of a run have the same month. Its drift would only say that time has passed.
        let monitored = features.iter().filter(|feature| feature.measure != Measure::Month);
        let monitored = monitored.map(|feature| (feature.place, feature.range()));
        artifact.reference = Reference::new(&measures, monitored, &customers, &of_customers);
        artifact.quartiles = quartiles(snapshots.map_or(of_customers, |snapshots| probabilities(&snapshots)));
        Ok(artifact)
    }
}

/// Fits the BG/NBD model to `seen` and fills in its features, when the plan has them.
fn fit_forecast(
    rows: &mut Snapshots,
    plan: &mut Plan,
    measures: &[Measure],
    seen: &[Purchases],
) -> Option<BgNbdFit> {
    let forecast = plan.forecast.as_mut()?;
    let fitted = BgNbd::fit(seen);
    forecast.model = fitted.is_usable().then_some(fitted.model);
    rows.fill_forecast(forecast, measures.len());
    Some(fitted)
}

/// The raw row of each customer's latest snapshot among `chosen`, in which the rows of a customer are side by side and
/// the latest last.
fn latest_snapshots(rows: &Snapshots, chosen: &[usize], width: usize) -> Vec<f64> {
    let customers = chosen.chunk_by(|a, b| rows.customer[*a] == rows.customer[*b]);
    let latest = customers.filter_map(|of_one| of_one.last());
    latest.flat_map(|row| &rows.features[row * width..(row + 1) * width]).copied().collect()
}

/// The values that divide the probabilities, of which there is at least one, into quarters: a quarter lies below the
/// first, as far as none are equal.
fn quartiles(mut probabilities: Vec<f64>) -> [f64; 3] {
    probabilities.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| probabilities[quarter * probabilities.len() / 4])
}
