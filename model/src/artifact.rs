//! The artifact: what is stored of a model. Data only, versioned, checksummed.
//!
//! One header line, `tally-model FORMAT SHA256`, then JSON. The same training gives the same bytes:
//! no clock, no host, no order of a hash map is in them. Loading checks the digest and validates
//! everything that scoring relies on, so that a loaded model cannot fail later.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    encode::{Encoder, Encoding},
    evaluate::{Metrics, ReliabilityBin},
    features::{Measure, Plan, Scale},
    snapshot::{Outcome, SplitKind},
    spec::Spec,
    time::Time,
};

/// The first word of every artifact.
const MAGIC: &str = "tally-model";
/// The format that this version writes and reads.
const FORMAT: &str = "1";
/// The greatest artifact that is read, in bytes.
pub const LARGEST: usize = 64 << 20;

/// A model, complete.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// What is foretold, of whom, how far ahead.
    pub outcome: Outcome,
    /// The spec that it was trained with.
    pub spec: Spec,
    /// The moment that training took for now.
    pub as_of: Time,
    /// What the features are made of.
    pub plan: Plan,
    /// Raw row -> design row.
    pub encoder: Encoder,
    /// Log-odds of an average customer.
    pub intercept: f64,
    /// One weight a column.
    pub weights: Vec<f64>,
    /// The L2 penalty ½·λ·‖w‖² on the summed loss.
    pub penalty: f64,
    /// The lower triangle, row by row, of W with: the variance of the log-odds of a design row x is
    /// ‖W·(1, x)‖².
    pub whitener: Vec<f64>,
    /// The quartiles of the probability over the training rows.
    pub quartiles: [f64; 3],
    /// How it was trained and how well it holds.
    pub card: Card,
}

/// What the model card tells of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Snapshots learned from.
    pub rows: usize,
    /// Those with the outcome.
    pub positives: usize,
    /// Customers that they belong to.
    pub customers: usize,
    /// The earliest and the latest `as_of` of a snapshot.
    pub from: Time,
    /// See `from`.
    pub to: Time,
    /// How the holdout was chosen.
    pub split: SplitKind,
    /// The seed of all random choices.
    pub seed: u64,
    /// On the holdout, by a fit that had not seen it.
    pub holdout: Metrics,
    /// The same of plain rivals, by name.
    pub baselines: Vec<(String, Metrics)>,
    /// Reliability on the holdout.
    pub reliability: Vec<ReliabilityBin>,
}

impl Card {
    /// Whether all figures are numbers, which those of a one-sided holdout would not be.
    fn is_finite(&self) -> bool {
        let all = std::iter::once(&self.holdout).chain(self.baselines.iter().map(|(_, metrics)| metrics));
        let figures = all.flat_map(|m| [m.auc, m.pr_auc, m.log_loss, m.brier, m.ece, m.lift_at_10_percent]);
        let bins = self.reliability.iter().flat_map(|bin| [bin.predicted, bin.observed]);
        figures.chain(bins).all(f64::is_finite)
    }
}

/// Why bytes are no model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ArtifactError {
    /// The header is not ours, or of another format.
    #[error("not a model of format {FORMAT}")]
    Format,
    /// Too many bytes.
    #[error("larger than {LARGEST} bytes")]
    TooLarge,
    /// The content does not match its digest.
    #[error("damaged: the checksum does not match")]
    Checksum,
    /// The content is not what it should be.
    #[error("invalid: {0}")]
    Invalid(String),
}

impl Artifact {
    /// The bytes to store.
    ///
    /// # Errors
    /// [`ArtifactError::Invalid`] when a number is not finite or a length does not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ArtifactError> {
        self.validate()?;
        let invalid = |error: serde_json::Error| ArtifactError::Invalid(error.to_string());
        let body = serde_json::to_vec(self).map_err(invalid)?;
        let mut bytes = format!("{MAGIC} {FORMAT} {}\n", digest(&body)).into_bytes();
        bytes.extend(body);
        if bytes.len() > LARGEST { Err(ArtifactError::TooLarge) } else { Ok(bytes) }
    }

    /// Reads and validates stored bytes.
    ///
    /// # Errors
    /// [`ArtifactError`] when they are not exactly what [`Artifact::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ArtifactError> {
        if bytes.len() > LARGEST {
            return Err(ArtifactError::TooLarge);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(ArtifactError::Format)?;
        let header = std::str::from_utf8(&bytes[..end]).map_err(|_| ArtifactError::Format)?;
        let body = &bytes[end + 1..];
        let checksum = header
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_prefix(' '))
            .and_then(|rest| rest.strip_prefix(FORMAT))
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(ArtifactError::Format)?;
        if digest(body) != checksum {
            return Err(ArtifactError::Checksum);
        }
        let artifact: Self =
            serde_json::from_slice(body).map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        artifact.validate()?;
        Ok(artifact)
    }

    /// Whether a snapshot at `as_of` is later than all that was learned from, the labels included.
    #[must_use]
    pub fn has_not_seen(&self, as_of: Time) -> bool {
        self.outcome.horizon_end(self.card.to) <= as_of
    }

    /// SHA-256 of the resolved list of features, hexadecimal.
    #[must_use]
    pub fn schema_hash(&self) -> String {
        let names: Vec<String> = self.encoder.features.iter().map(|f| f.measure.to_string()).collect();
        digest(names.join("\n").as_bytes())
    }

    /// The standard error of each weight: the norm of its column of the whitener.
    #[must_use]
    pub fn standard_errors(&self) -> Vec<f64> {
        let mut variances = vec![0.0; self.weights.len() + 1];
        let mut rest = self.whitener.as_slice();
        for length in 1..=variances.len() {
            let (line, below) = rest.split_at(length);
            rest = below;
            for (variance, value) in variances.iter_mut().zip(line) {
                *variance += value * value;
            }
        }
        variances[1..].iter().map(|variance| variance.sqrt()).collect()
    }

    /// Checks all that scoring relies on.
    fn validate(&self) -> Result<(), ArtifactError> {
        let invalid = |what: &str| Err(ArtifactError::Invalid(what.to_owned()));
        self.spec.validate().map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        if self.plan.windows_days.len() > 10 || self.plan.kinds.len() > 50 || self.plan.attributes.len() > 200
        {
            return invalid("the plan is larger than a spec allows");
        }
        let measures = self.plan.measures();
        if !self.plan.windows_days.is_sorted_by(|a, b| a < b) {
            return invalid("the windows of the plan do not rise");
        }
        if self.encoder.features.iter().any(|f| measures.get(f.place) != Some(&f.measure)) {
            return invalid("a feature is not in the plan");
        }
        if self.encoder.features.iter().any(|f| !fits(&f.encoding, &f.measure)) {
            return invalid("an encoding does not fit its feature");
        }
        let columns = self.encoder.width();
        if self.weights.len() != columns || self.whitener.len() != (columns + 1) * (columns + 2) / 2 {
            return invalid("weights and columns differ in number");
        }
        if !self.card.is_finite() {
            return invalid("a metric is not a finite number");
        }
        let numbers = [self.intercept, self.penalty].into_iter();
        let mut numbers = numbers.chain(self.weights.iter().chain(&self.whitener).copied());
        if !numbers.all(f64::is_finite) {
            return invalid("a weight is not a finite number");
        }
        let [a, b, c] = self.quartiles;
        if !(0.0 < a && a <= b && b <= c && c < 1.0) {
            return invalid("the quartiles are not rising probabilities");
        }
        Ok(())
    }
}

/// Whether the encoding is sound and belongs to a measure of this scale.
fn fits(encoding: &Encoding, measure: &Measure) -> bool {
    let category = matches!(measure, Measure::Attribute { scale: Scale::Category { .. }, .. });
    let share = |share: &f64| (0.0..=1.0).contains(share);
    match encoding {
        Encoding::Number { low, high, mean, sd, missing, .. } => {
            let finite = [low, high, mean, sd].iter().all(|value| value.is_finite());
            let scaled =
                *sd == 0.0 || (*sd > 0.0 && ((high.abs() + low.abs() + mean.abs()) / sd).is_finite());
            !category && finite && low <= high && scaled && missing.iter().all(share)
        }
        Encoding::Category { levels } => category && levels.iter().all(|(_, part)| share(part)),
    }
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
