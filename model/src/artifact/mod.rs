//! The artifact: what is stored of a model. Data only, versioned, checksummed.
//!
//! One header line, `tally-model FORMAT SHA256`, then JSON. The same training gives the same bytes, which
//! contain no clock, no host and no order of a hash map. Loading checks the digest and validates
//! everything that scoring relies on, so that a loaded model cannot fail later. Fields keep the names that
//! they were first written with.

mod bytes;
mod calibration;
mod card;
mod study;
mod validate;

use serde::{Deserialize, Serialize};

use crate::{
    encode::Encoder,
    evaluation::drift::{Counts, DriftReport, Reference},
    features::Plan,
    label::LabelDefinition,
    spec::Spec,
    time::Time,
};

pub use bytes::{ArtifactError, LARGEST, digest};
pub use calibration::Calibration;
pub use card::{Card, LeadCoverage};
pub use study::{Candidate, Recipe, SplitKind, Stack, StackMember, Study};

/// A complete model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What is predicted, for which customers, how far ahead.
    pub outcome: LabelDefinition,
    /// The spec that it was trained with.
    pub spec: Spec,
    /// The moment of the training: nothing later was read.
    pub as_of: Time,
    /// The raw features.
    pub plan: Plan,
    /// Raw row -> design row.
    pub encoder: Encoder,
    /// Log-odds of an average customer.
    pub intercept: f64,
    /// One weight for each column.
    pub weights: Vec<f64>,
    /// The L2 penalty ½·λ·‖w‖² on the summed loss.
    pub penalty: f64,
    /// The lower triangle, row by row, of the matrix C such that the variance of the log-odds of a design row
    /// x, before calibration, is ‖Cᵀ·(1, x)‖².
    #[serde(with = "bytes::base64")]
    pub covariance_factor: Vec<f32>,
    /// The calibration curve, when the log-odds of the regression needed one.
    pub calibration: Option<Calibration>,
    /// Rows and their scores, which are checked before the model serves.
    pub golden: Vec<Golden>,
    /// The quartiles of the probability over the customers at `as_of`; in models that were stored before these were
    /// looked at, over the training rows.
    pub quartiles: [f64; 3],
    /// The distributions of those customers, however few they are, for drift monitoring.
    pub reference: Reference,
    /// How it was trained and how well it predicts.
    pub card: Card,
    /// How many decimals money has in its sentences: 2 if minor units are cents.
    #[serde(default = "cents", skip_serializing_if = "is_cents")]
    pub amount_decimals: u8,
}

/// The decimals of money where nothing else is said.
pub const CENTS: u8 = 2;

/// Coefficients are shown with three decimals.
const INVISIBLE: f64 = 5e-4;

const fn cents() -> u8 {
    CENTS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_cents(decimals: &u8) -> bool {
    *decimals == CENTS
}

/// A raw row and its score: a program that computes another one must not serve this model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Raw feature values in the order of the plan, None for missing. They are no customer's: each feature is at
    /// one of its quantiles.
    pub raw: Vec<Option<f64>>,
    /// The calibrated log-odds.
    pub log_odds: f64,
    /// The standard error of the log-odds before calibration.
    pub standard_error: f64,
}

impl Golden {
    /// The raw row, `NaN` for missing.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.raw.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
    }
}

impl Artifact {
    /// Whether a snapshot at `as_of` is later than all training data, labels included.
    #[must_use]
    pub fn has_not_seen(&self, as_of: Time) -> bool {
        self.outcome.horizon_end(self.card.to) <= as_of
    }

    /// Whether the other model is the same but for when it was trained: it predicts the same outcome, encodes and
    /// calibrates alike, and no coefficient differs visibly. The same coefficients mean something else when the columns
    /// are scaled in another way, as after a change of a unit.
    #[must_use]
    pub fn is_same_model(&self, other: &Self) -> bool {
        let is_near = |a: f64, b: f64| (a - b).abs() < INVISIBLE;
        self.outcome == other.outcome
            && self.encoder == other.encoder
            && self.calibration == other.calibration
            && is_near(self.intercept, other.intercept)
            && self.weights.iter().zip(&other.weights).all(|(a, b)| is_near(*a, *b))
    }

    /// How far a population has moved from the customers at the training. The counts must [fit](Counts::fit) the
    /// reference.
    #[must_use]
    pub fn drift(&self, counts: &Counts) -> DriftReport {
        let (reference, rows) = (&self.reference, self.reference.rows());
        let customers = if reference.is_per_customer() { rows } else { rows.min(self.card.customers as u64) };
        DriftReport::new(&self.plan.measures(), reference, counts, customers)
    }

    /// SHA-256 of the resolved list of features, hexadecimal.
    #[must_use]
    pub fn schema_hash(&self) -> String {
        let names: Vec<String> = self.encoder.features.iter().map(|f| f.measure.to_string()).collect();
        digest(names.join("\n").as_bytes())
    }

    /// The standard error of each weight: the norm of its row in the covariance factor.
    #[must_use]
    pub fn standard_errors(&self) -> Vec<f64> {
        let mut rest = self.covariance_factor.as_slice();
        let lines = (1..=self.weights.len() + 1).map(|length| {
            let (line, below) = rest.split_at(length);
            rest = below;
            line.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
        });
        lines.skip(1).collect()
    }
}
