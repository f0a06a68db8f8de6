//! The card: how a model was trained, and how well it predicts.

use serde::{Deserialize, Serialize};

use super::{SplitKind, Study};
use crate::{
    evaluation::metrics::{Metrics, ReliabilityBin},
    features::bg_nbd::BgNbdFit,
    time::Time,
};

/// The facts of the training on the model card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The number of training snapshots.
    pub rows: usize,
    /// How many of them have the outcome.
    pub positives: usize,
    /// The number of their customers.
    pub customers: usize,
    /// The earliest and the latest `as_of` of a snapshot.
    pub from: Time,
    /// See `from`.
    pub to: Time,
    /// How the holdout was chosen.
    pub split: SplitKind,
    /// The seed of all random choices.
    pub seed: u64,
    /// The metrics on the holdout, by a fit that had not seen it.
    pub holdout: Metrics,
    /// The same before calibration.
    pub uncalibrated: Metrics,
    /// The same of simple baselines, by name.
    pub baselines: Vec<(String, Metrics)>,
    /// Reliability on the holdout.
    pub reliability: Vec<ReliabilityBin>,
    /// The same before calibration.
    pub uncalibrated_reliability: Vec<ReliabilityBin>,
    /// How the model that was evaluated on the holdout was chosen, from the other rows.
    pub evaluated: Study,
    /// How this model was chosen in the same way from all rows.
    pub chosen: Study,
    /// The root of the mean square of the difference in log-odds between the model that was evaluated and this one,
    /// over the holdout, with probabilities clamped to 0.001 to 0.999. None in the card of the former, and in models
    /// that were stored before this was computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_odds_difference: Option<f64>,
    /// The number of snapshots that this model was fitted to: those within the lookback.
    pub rows_within_reach: usize,
    /// The BG/NBD model of the purchases up to the training's `as_of`; churn by inactivity has one.
    pub bg_nbd: Option<BgNbdFit>,
    /// How old the leads were that it has learned from, and those to be scored; None for churn, and in models that
    /// were stored before this was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads: Option<LeadCoverage>,
}

/// Which ages of leads a model has learned from, and how many of the leads to be scored are older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeadCoverage {
    /// The greatest age in days that it has learned from.
    pub oldest_days: u32,
    /// The number of leads at the `as_of` of the training.
    pub leads: usize,
    /// How many of them were older than `oldest_days`.
    pub older: usize,
}

impl LeadCoverage {
    /// The share of the leads that were older; 0 without leads.
    #[must_use]
    pub fn older_share(&self) -> f64 {
        self.older as f64 / self.leads.max(1) as f64
    }
}

impl Card {
    /// Whether all figures are finite; those of a holdout with a single outcome are not.
    pub(super) fn is_finite(&self) -> bool {
        let own = [&self.holdout, &self.uncalibrated].into_iter();
        let all = own.chain(self.baselines.iter().map(|(_, metrics)| metrics));
        let figures = all.flat_map(|m| [m.auc, m.pr_auc, m.log_loss, m.brier, m.ece, m.lift_at_10_percent]);
        let bins = self.reliability.iter().chain(&self.uncalibrated_reliability);
        let bins = bins.flat_map(|bin| [bin.predicted, bin.observed]);
        figures.chain(bins).chain(self.log_odds_difference).all(f64::is_finite)
            && self.evaluated.is_finite()
            && self.chosen.is_finite()
    }
}
