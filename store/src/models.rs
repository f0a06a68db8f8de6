//! Models: immutable versions, the champion of each target, and the audit of every promotion.

use async_trait::async_trait;
use tally_model::{
    spec::Target,
    time::Time,
    training::{assessment::Assessment, compare::Pair},
};

use crate::error::Result;

/// A stored model version.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// What it predicts.
    pub target: Target,
    /// 1, 2, 3, … within the target.
    pub version: i64,
    /// When it was stored.
    pub create_time: Time,
    /// Who trained it.
    pub created_by: String,
    /// See [`tally_model::artifact`].
    pub artifact: Vec<u8>,
    /// What the training found out about it.
    pub assessment: Assessment,
    /// Whether it serves.
    pub champion: bool,
}

/// A holdout row with its out-of-sample probabilities.
#[derive(Clone, Debug)]
pub struct HoldoutScore {
    /// The customer of the row.
    pub customer_id: String,
    /// The moment of the row.
    pub as_of: Time,
    /// Whether the outcome occurred.
    pub label: bool,
    /// The probability by the new model.
    pub probability: f64,
    /// The probability by the champion at the time of training; None when it had been trained on the row.
    pub incumbent: Option<f64>,
}

/// The evaluation of a new model on its holdout.
#[derive(Clone, Debug)]
pub struct StoredEvaluation {
    /// The artifact of the model as it was evaluated, trained on the training part alone.
    pub evaluated: Vec<u8>,
    /// The version of the champion that is `incumbent` in `scores`.
    pub incumbent: Option<i64>,
    /// The holdout, or a sample of it.
    pub scores: Vec<HoldoutScore>,
}

/// How a model became the champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromotionKind {
    /// By a promotion.
    Promote,
    /// By a return to an earlier champion.
    Rollback,
    /// By its own training.
    Training,
}

impl PromotionKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Promote, Self::Rollback, Self::Training];

    /// `promote`, `rollback` or `training`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Training => "training",
        }
    }
}

/// A change of the champion, as it is audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The target whose champion changes.
    pub target: Target,
    /// 1, 2, 3, … within the target.
    pub sequence: i64,
    /// When the champion changes.
    pub time: Time,
    /// Who changes it, as far as known.
    pub who: String,
    /// The previous champion; None for the first one.
    pub from: Option<i64>,
    /// The new champion.
    pub to: i64,
    /// How it becomes the champion.
    pub kind: PromotionKind,
    /// Whether the gate had refused it.
    pub forced: bool,
    /// Why, in words.
    pub reason: String,
    /// The result of the gate, in words.
    pub gate_result: String,
}

/// Stores models and moves the champion.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait ModelStore: Send + Sync {
    /// Stores a model as the next version of its target and returns that version; `model.version` and
    /// `model.champion` are ignored. Holdout rows of customers that no longer exist are left out.
    async fn insert_model(&self, model: StoredModel, evaluation: StoredEvaluation) -> Result<i64>;
    /// Returns at most `limit` models of one or all targets, ordered by target and falling version, that follow
    /// `after` (target and version).
    async fn models(
        &self,
        target: Option<Target>,
        after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<StoredModel>>;
    /// Returns one model, None when it is not stored.
    async fn model(&self, target: Target, version: i64) -> Result<Option<StoredModel>>;
    /// Returns the version that serves.
    async fn champion(&self, target: Target) -> Result<Option<i64>>;
    /// Returns the artifact of a version as it was evaluated.
    async fn evaluated(&self, target: Target, version: i64) -> Result<Option<Vec<u8>>>;
    /// Returns the holdout rows that neither version was trained on, ordered by customer and moment.
    async fn pairs(&self, target: Target, candidate: i64, champion: i64) -> Result<Vec<Pair>>;
    /// Moves the champion, adds the move to the line of champions and to the audit log, all or nothing. Returns false when
    /// `promotion.from` is no longer the champion, or the sequence number is taken. `request_id` is that of the call that
    /// asked for it; empty when none did.
    async fn promote(&self, promotion: Promotion, request_id: &str) -> Result<bool>;
    /// Returns at most `limit` promotions of a target with a sequence number below `before`, newest first.
    async fn promotions(&self, target: Target, before: Option<i64>, limit: usize) -> Result<Vec<Promotion>>;
}
