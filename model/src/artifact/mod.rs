//! The artifact: what is stored of a model. Data only, versioned, checksummed.
//!
//! One header line, `tally-model FORMAT SHA256`, then JSON. The same training gives the same bytes:
//! no clock, no host, no order of a hash map is in them. Loading checks the digest and validates
//! everything that scoring relies on, so that a loaded model cannot fail later.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    encode::{Cells, Cross, Encoder, Feature},
    evaluation::drift::Reference,
    evaluation::metrics::{Metrics, ReliabilityBin},
    features::bg_nbd,
    features::{Measure, Plan, Scale},
    scoring::Scorer,
    spec::Spec,
    time::Time,
    training::calibrate::Calibration,
    training::selection::{Candidate, Choice, Recipe},
    training::snapshot::{LabelDefinition, SplitKind},
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
    pub outcome: LabelDefinition,
    /// The spec that it was trained with.
    pub spec: Spec,
    /// The training's own moment: nothing later was read.
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
    /// The lower triangle, row by row, of C with: the variance of the log-odds of a design row x,
    /// before calibration, is ‖Cᵀ·(1, x)‖².
    #[serde(with = "packed")]
    pub covariance_factor: Vec<f32>,
    /// What makes the log-odds mean what they say, when the regression's own did not.
    pub calibration: Option<Calibration>,
    /// Rows and what they score, to be found again before the model serves.
    pub golden: Vec<Golden>,
    /// The quartiles of the probability over the training rows.
    pub quartiles: [f64; 3],
    /// What the training rows looked like, for watching drift.
    pub reference: Reference,
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
    /// The same before calibration.
    pub uncalibrated: Metrics,
    /// The same of plain rivals, by name.
    pub baselines: Vec<(String, Metrics)>,
    /// Reliability on the holdout.
    pub reliability: Vec<ReliabilityBin>,
    /// The same before calibration.
    pub uncalibrated_reliability: Vec<ReliabilityBin>,
    /// How the model that was judged on the holdout was chosen, from the rows before it.
    pub evaluated: Study,
    /// How this model was chosen, in the same way, from all rows.
    pub chosen: Study,
    /// Snapshots that this model was fitted to: those that are not too old.
    pub rows_within_reach: usize,
    /// The BG/NBD model of the purchases up to the training's `as_of`; churn by inactivity has one.
    pub bg_nbd: Option<bg_nbd::Fitted>,
}

/// A choice of how to fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// What was chosen.
    pub recipe: Recipe,
    /// `platt`, `isotonic`, or None when the scores meant what they said.
    pub calibration: Option<String>,
    /// Whether the validation rows were later than those fitted to.
    pub validation: SplitKind,
    /// What was tried, in this order.
    pub candidates: Vec<Candidate>,
}

impl Study {
    /// What is to be remembered of a choice.
    #[must_use]
    pub fn new(choice: &Choice) -> Self {
        Self {
            recipe: choice.recipe,
            calibration: choice.calibration.as_ref().map(|curve| curve.name().to_owned()),
            validation: choice.validation,
            candidates: choice.candidates.clone(),
        }
    }

    fn is_finite(&self) -> bool {
        let candidates = self.candidates.iter();
        candidates.flat_map(|c| [c.log_loss, c.excess, c.standard_error]).all(f64::is_finite)
    }
}

/// A raw row and what it scores: whoever computes otherwise must not serve this model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Raw feature values in the order of the plan, None for missing. Nobody's: each feature is at
    /// one of its quantiles.
    pub raw: Vec<Option<f64>>,
    /// The calibrated log-odds.
    pub log_odds: f64,
    /// Of the log-odds before calibration.
    pub standard_error: f64,
}

impl Golden {
    /// How many rows there are with values.
    const ROWS: usize = 8;

    /// Rows that have every feature at its least, …, its greatest value in training, and one without any
    /// value.
    #[must_use]
    pub fn of(scorer: &Scorer) -> Vec<Self> {
        let artifact = scorer.artifact();
        let row = |n: usize| {
            let mut raw = vec![None; artifact.plan.width()];
            for (place, feature) in artifact.encoder.features.iter().enumerate() {
                let values = feature.curve_values();
                // Each feature a step further, so that no row has all at the same quantile.
                let at = (n + place) % Self::ROWS * (values.len() - 1) / (Self::ROWS - 1);
                raw[feature.place] = Some(values[at]).filter(|value| n < Self::ROWS && !value.is_nan());
            }
            raw
        };
        (0..=Self::ROWS)
            .map(|n| {
                let raw = row(n);
                let (log_odds, standard_error) = scorer.assess(&Self::values(&raw));
                Self { raw, log_odds, standard_error }
            })
            .collect()
    }

    /// The row as the scorer wants it.
    #[must_use]
    pub fn values(raw: &[Option<f64>]) -> Vec<f64> {
        raw.iter().map(|value| value.unwrap_or(f64::NAN)).collect()
    }
}

/// Many small numbers as base64 of their little-endian bytes.
mod packed {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(numbers: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bytes = STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)?;
        let (numbers, rest) = bytes.as_chunks::<4>();
        if rest.is_empty() {
            Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
        } else {
            Err(D::Error::custom("not a whole number of 4-byte numbers"))
        }
    }
}

impl Card {
    /// Whether all figures are numbers, which those of a one-sided holdout would not be.
    fn is_finite(&self) -> bool {
        let own = [&self.holdout, &self.uncalibrated].into_iter();
        let all = own.chain(self.baselines.iter().map(|(_, metrics)| metrics));
        let figures = all.flat_map(|m| [m.auc, m.pr_auc, m.log_loss, m.brier, m.ece, m.lift_at_10_percent]);
        let bins = self.reliability.iter().chain(&self.uncalibrated_reliability);
        let bins = bins.flat_map(|bin| [bin.predicted, bin.observed]);
        figures.chain(bins).all(f64::is_finite) && self.evaluated.is_finite() && self.chosen.is_finite()
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
    /// The scores of its golden rows are not what they were where it was written.
    #[error("this program computes other scores from it than the one that wrote it")]
    Golden,
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

    /// The standard error of each weight: the norm of its line of the covariance's factor.
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

    /// Checks all that scoring relies on.
    fn validate(&self) -> Result<(), ArtifactError> {
        let invalid = |what: &str| Err(ArtifactError::Invalid(what.to_owned()));
        self.spec.validate().map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        let plan = &self.plan;
        let sizes = [plan.windows_days.len(), plan.kinds.len(), plan.properties.len(), plan.attributes.len()];
        if sizes.iter().zip([10, 50, 50, 200]).any(|(size, most)| *size > most) {
            return invalid("the plan is larger than a spec allows");
        }
        let measures = self.plan.measures();
        if !self.plan.windows_days.is_sorted_by(|a, b| a < b) {
            return invalid("the windows of the plan do not rise");
        }
        if self.encoder.features.iter().any(|f| measures.get(f.place) != Some(&f.measure)) {
            return invalid("a feature is not in the plan");
        }
        if !self.encoder.features.is_sorted_by(|a, b| a.place < b.place) {
            return invalid("the features are not in the order of the plan");
        }
        if !self.encoder.features.iter().all(is_sound) {
            return invalid("an encoding does not fit its feature");
        }
        if !self.encoder.crosses.iter().all(|cross| self.crosses(cross)) {
            return invalid("a cross does not fit its features");
        }
        let columns = self.encoder.width();
        if self.weights.len() != columns || self.covariance_factor.len() != (columns + 1) * (columns + 2) / 2
        {
            return invalid("weights and columns differ in number");
        }
        if self.calibration.as_ref().is_some_and(|curve| !curve.is_valid()) {
            return invalid("the calibration does not rise");
        }
        if self.plan.forecast.and_then(|forecast| forecast.model).is_some_and(|model| !model.is_valid()) {
            return invalid("a parameter of the BG/NBD model is out of bounds");
        }
        if self.golden.is_empty() || self.golden.iter().any(|golden| golden.raw.len() != measures.len()) {
            return invalid("there is no golden row, or one of another length than the plan");
        }
        if !self.card.is_finite() {
            return invalid("a metric is not a finite number");
        }
        let numbers = [self.intercept, self.penalty].into_iter();
        let mut numbers = numbers
            .chain(self.weights.iter().copied())
            .chain(self.covariance_factor.iter().map(|x| f64::from(*x)));
        if !numbers.all(f64::is_finite) {
            return invalid("a weight is not a finite number");
        }
        if !self.reference.fits(&measures) {
            return invalid("the reference for drift does not fit the features");
        }
        let [a, b, c] = self.quartiles;
        if !(0.0 < a && a <= b && b <= c && c < 1.0) {
            return invalid("the quartiles are not rising probabilities");
        }
        Ok(())
    }

    /// Whether a cross belongs to two features of this encoder.
    fn crosses(&self, cross: &Cross) -> bool {
        let [first, second] = cross.features;
        let known = first.max(second) < self.encoder.features.len() && first != second;
        let cells = cross.cells.iter().all(|cells| cells.is_valid() && cells.count() <= 1 << 8);
        let pairs = || cross.features.iter().zip(&cross.cells);
        known
            && cells
            && pairs().all(|(n, cells)| is_of(&self.encoder.features[*n].measure, cells))
            && cross.means.len() == cross.width()
            && cross.means.iter().all(|mean| mean.is_finite())
    }
}

/// Whether the encoding is sound and belongs to a measure of this scale.
fn is_sound(feature: &Feature) -> bool {
    let finite = feature.grid.iter().all(|value| value.is_finite()) && feature.grid.is_sorted();
    let line = feature.line.as_ref().is_none_or(|line| {
        let hinges = line.hinges.iter().all(|(knot, mean)| knot.is_finite() && mean.is_finite());
        let all = [line.low, line.high, line.mean, line.sd].iter().all(|value| value.is_finite());
        let scaled =
            line.sd > 0.0 && ((line.high.abs() + line.low.abs() + line.mean.abs()) / line.sd).is_finite();
        hinges && all && scaled && line.low <= line.high
    });
    let kind = is_of(&feature.measure, &feature.cells);
    let category = matches!(feature.cells, Cells::Levels { .. });
    finite
        && line
        && kind
        && !(category && feature.line.is_some())
        && feature.cells.is_valid()
        && !feature.curve_values().is_empty()
}

/// Whether such cells are of such a measure: levels of a category, bins of a number.
const fn is_of(measure: &Measure, cells: &Cells) -> bool {
    let category = matches!(measure, Measure::Attribute { scale: Scale::Category { .. }, .. });
    match cells {
        Cells::Bins { .. } => !category,
        Cells::Levels { .. } => category,
    }
}

/// SHA-256, hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
