//! The report as JSON, with every figure. Its keys are a contract: scripts read them.

use std::collections::BTreeMap;

use serde::Serialize;
use tally_model::{
    artifact::{LeadCoverage, Study},
    evaluation::metrics::{Metrics, ReliabilityBin},
    features::bg_nbd,
    training::{checks::FailedCheck, slices::HoldoutSlice},
};

use super::coefficients::Coefficient;
use crate::lifecycle::{
    eligible,
    training::{PromotionDecision, TrainingResult},
};

#[derive(Serialize)]
struct JsonReport<'a> {
    model: String,
    target: &'a str,
    as_of_time: String,
    horizon_days: u32,
    /// Which customers it scores, in words.
    eligible: String,
    rows: usize,
    positives: usize,
    customers: usize,
    from_time: String,
    to_time: String,
    split: &'a str,
    seed: u64,
    penalty: f64,
    holdout: &'a Metrics,
    baselines: BTreeMap<&'a str, &'a Metrics>,
    reliability: &'a [ReliabilityBin],
    uncalibrated_holdout: &'a Metrics,
    uncalibrated_reliability: &'a [ReliabilityBin],
    /// How the fit of this model was chosen.
    chosen: &'a Study,
    /// How the fit that was judged on the holdout was chosen.
    evaluated: &'a Study,
    /// The RMS difference in log-odds between the two, over the holdout.
    log_odds_difference: Option<f64>,
    rows_within_reach: usize,
    leads: Option<LeadCoverage>,
    bg_nbd: Option<&'a bg_nbd::BgNbdFit>,
    verdict: &'a PromotionDecision,
    failed_checks: &'a [FailedCheck],
    /// The holdout by groups.
    slices: &'a [HoldoutSlice],
    intercept: f64,
    coefficients: Vec<Coefficient>,
    spec: String,
    schema_hash: String,
}

impl<'a> JsonReport<'a> {
    fn new(result: &'a TrainingResult) -> Self {
        let (artifact, card) = (&result.artifact, &result.artifact.card);
        Self {
            model: result.name.to_string(),
            target: result.name.target.name(),
            as_of_time: artifact.as_of.to_string(),
            horizon_days: artifact.outcome.horizon_days,
            eligible: eligible(&artifact.outcome),
            rows: card.rows,
            positives: card.positives,
            customers: card.customers,
            from_time: card.from.to_string(),
            to_time: card.to.to_string(),
            split: card.split.name(),
            seed: card.seed,
            penalty: artifact.penalty,
            holdout: &card.holdout,
            baselines: card.baselines.iter().map(|(name, metrics)| (name.as_str(), metrics)).collect(),
            reliability: &card.reliability,
            uncalibrated_holdout: &card.uncalibrated,
            uncalibrated_reliability: &card.uncalibrated_reliability,
            chosen: &card.chosen,
            evaluated: &card.evaluated,
            log_odds_difference: card.log_odds_difference,
            rows_within_reach: card.rows_within_reach,
            leads: card.leads,
            bg_nbd: card.bg_nbd.as_ref(),
            verdict: &result.verdict,
            failed_checks: &result.assessment.failed_checks,
            slices: &result.assessment.slices,
            intercept: artifact.intercept,
            coefficients: Coefficient::by_size(artifact),
            spec: artifact.spec.to_string(),
            schema_hash: artifact.schema_hash(),
        }
    }
}

/// Renders the report as indented JSON.
///
/// # Errors
/// When a figure is not finite, which JSON cannot hold.
pub fn render(result: &TrainingResult) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&JsonReport::new(result))
}
