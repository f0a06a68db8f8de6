//! What a training is asked to do, and what comes of it.

use serde::Serialize;
use tally_model::{
    artifact::Artifact,
    counted,
    evaluation::drift::DriftReport,
    features::profile::RecordingLag,
    spec::{Spec, Target},
    time::Time,
    training::{
        assessment::Assessment,
        compare::Comparison,
        fit::FitError,
        train::{TrainError, TrainingOptions},
    },
};
use tally_store::StoreError;

use crate::{catalog::ModelName, histories::scan::Partition, platform::error::Error};

/// When a new model becomes the champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Promote {
    /// When it passes the checks, and there is no champion or the new model is better than it on holdout
    /// rows that neither has learned from: its log loss is lower, and the upper end of the 95 % interval of the
    /// difference is below +0.002
    Auto,
    /// In any case
    Always,
    /// Not now
    Never,
}

/// What to train, and how.
#[derive(Clone, Debug)]
pub struct TrainingJob {
    /// What the model predicts.
    pub target: Target,
    /// The moment of the training: nothing later is read.
    pub as_of: Time,
    /// The spec.
    pub spec: Spec,
    /// Split and seed.
    pub options: TrainingOptions,
    /// When the model becomes the champion.
    pub promote: Promote,
    /// The customers to learn from.
    pub partition: Partition,
    /// The attributes to divide the holdout by.
    pub by: Vec<String>,
}

/// Why a training ended without a model.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The data do not suffice, or the fit failed. Nothing was stored.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The data do not suffice, and most of them became known too late to be learned from.
    #[error(
        "{error}; {late} of {interactions} recorded more than a day after they happened, so models \
         may not use them for the past; import them again with --backfill",
        late = .lag.late,
        interactions = counted(.lag.interactions, "interaction was", "interactions were")
    )]
    RecordedLate {
        /// What is missing.
        error: TrainError,
        /// How many interactions are concerned.
        lag: RecordingLag,
    },
    /// The data do not suffice, for a reason that is known.
    #[error("{error}; {why}")]
    Explained {
        /// What is missing.
        error: TrainError,
        /// What is stored, what was known when, and what would be needed.
        why: String,
    },
    /// The service failed.
    #[error(transparent)]
    Service(#[from] Error),
    /// The training matrix could not be written.
    #[error("the training matrix: {0}")]
    Matrix(#[from] csv::Error),
}

impl From<StoreError> for JobError {
    fn from(error: StoreError) -> Self {
        Self::Service(error.into())
    }
}

impl JobError {
    /// Whether the data do not suffice, so that more data would help.
    #[must_use]
    pub const fn is_lack_of_data(&self) -> bool {
        matches!(
            self,
            Self::RecordedLate { .. }
                | Self::Explained { .. }
                | Self::Train(
                    TrainError::TooLittle { .. }
                        | TrainError::OneSided { .. }
                        | TrainError::NothingVaries(_)
                        | TrainError::Fit(FitError::NoUncertainty)
                )
        )
    }

    /// Whether the data or the arguments do not allow this training, so that it would be refused again.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Service(error) => error.is_refusal(),
            other => other.is_lack_of_data(),
        }
    }

    /// The same error, with the cause when the data do not suffice: most of them were recorded late, or `why`.
    pub(super) fn explained_by(self, lag: RecordingLag, why: Option<String>) -> Self {
        let is_lack = self.is_lack_of_data();
        let is_late = is_lack && lag.is_mostly_late();
        match (self, why) {
            (Self::Train(error), _) if is_late => Self::RecordedLate { error, lag },
            (Self::Train(error), Some(why)) if is_lack => Self::Explained { error, why },
            (other, _) => other,
        }
    }
}

/// The result of a training.
#[derive(Debug)]
pub struct TrainingResult {
    /// The stored version.
    pub name: ModelName,
    /// Its content.
    pub artifact: Artifact,
    /// The checks that it fails, and its holdout by groups.
    pub assessment: Assessment,
    /// Whether it serves now, and why.
    pub verdict: PromotionDecision,
    /// The holdout's probabilities and labels.
    pub holdout: Vec<(f64, bool)>,
    /// How far the customers are from those at the training of the former champion; None without a champion that
    /// predicts the same.
    pub drift: Option<ChampionDrift>,
}

/// How far the customers at a training are from those at the training of the champion.
#[derive(Debug)]
pub struct ChampionDrift {
    /// The champion.
    pub champion: ModelName,
    /// Customers at the training of the champion; its snapshots, if it is of an older version.
    pub reference: u64,
    /// Customers at this training that were compared with them.
    pub compared: u64,
    /// The drift of the champion's score and features.
    pub report: DriftReport,
}

/// Whether a new model serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PromotionDecision {
    /// Whether it does.
    pub promoted: bool,
    /// Why.
    pub reason: String,
    /// Whether it would serve if it did not fail a check.
    pub stopped_by_checks: bool,
    /// The former champion, when the two could be compared.
    pub champion: Option<String>,
    /// The two on the same rows.
    pub comparison: Option<Comparison>,
}
