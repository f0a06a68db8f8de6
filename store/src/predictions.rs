//! Predictions: stored scores with their reasons.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::{
    label::Basis,
    scoring::{Grade, Reason},
    spec::Target,
    time::Time,
};

use crate::error::Result;

/// A score that is stored or about to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Our id, unique and growing with time.
    pub prediction_id: String,
    /// The customer that was scored.
    pub customer_id: String,
    /// What is predicted.
    pub target: Target,
    /// The version of the model.
    pub model_version: i64,
    /// The moment the score is about.
    pub as_of: Time,
    /// Only what was recorded up to this time counts.
    pub known_at: Time,
    /// When it was stored.
    pub score_time: Time,
    /// The horizon in days after `as_of`.
    pub horizon_days: u32,
    /// The probability.
    pub probability: f64,
    /// The lower end of its 95 % interval.
    pub lower: f64,
    /// The upper end of its 95 % interval.
    pub upper: f64,
    /// From A, the best for the business, to D.
    pub grade: Grade,
    /// Whether it rests on the model or on nothing known.
    pub basis: Basis,
    /// The log-odds of an average customer.
    pub base_log_odds: f64,
    /// The strongest reasons.
    pub reasons: Vec<Reason>,
    /// The features without a value.
    pub missing_features: Vec<String>,
    /// What a reader should know about the score besides, as sentences; mostly none.
    pub notes: Vec<String>,
    /// When a backfill last changed what had been known at `known_at`; None for a new prediction.
    pub backfill_time: Option<Time>,
}

/// Scores by one model that are stored together.
#[derive(Clone, Debug, Default)]
pub struct NewPredictions {
    /// The predictions.
    pub predictions: Vec<Prediction>,
    /// The kind of interaction after which a customer is not eligible any more; None if there is none.
    pub ended_by: Option<&'static str>,
    /// Customers who are not eligible now, so that their predictions, about an earlier moment, are not listed.
    pub unlisted: HashSet<String>,
}

/// A latest prediction that an interaction of some kind can end.
#[derive(Clone, Debug)]
pub struct ListedPrediction {
    /// The customer.
    pub customer_id: String,
    /// What is predicted.
    pub target: Target,
    /// The version of the model.
    pub model_version: i64,
}

/// The order of a list of predictions; equal values are ordered by falling `prediction_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionOrder {
    /// Highest probability first.
    #[default]
    Probability,
    /// Last stored first.
    ScoreTime,
    /// Greatest net revenue first, in a pass of insights; customers that it does not have come last.
    NetRevenue,
}

/// Selects customers by a pass of insights; an empty list selects all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InsightFilter {
    /// Only these stages of the life cycle.
    pub life_cycles: Vec<String>,
    /// Only these ABC classes.
    pub abc_classes: Vec<String>,
    /// Only these RFM segments.
    pub rfm_segments: Vec<String>,
}

impl InsightFilter {
    /// Whether it selects all customers, also those without facts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns().iter().all(|(_, allowed)| allowed.is_empty())
    }

    /// The columns of the facts with what they may be.
    pub(crate) fn columns(&self) -> [(&'static str, &Vec<String>); 3] {
        let Self { life_cycles, abc_classes, rfm_segments } = self;
        [("f.life_cycle", life_cycles), ("f.abc_class", abc_classes), ("f.rfm_segment", rfm_segments)]
    }
}

/// Selects predictions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictionFilter {
    /// Only this target.
    pub target: Target,
    /// The least probability, inclusive.
    pub min_probability: Option<f64>,
    /// The greatest probability, inclusive.
    pub max_probability: Option<f64>,
    /// Only these grades, as stored; empty for all.
    pub grades: Vec<String>,
    /// Only this customer.
    pub customer_id: Option<String>,
    /// Only this model version.
    pub model_version: Option<i64>,
    /// Only predictions about this moment.
    pub as_of: Option<Time>,
    /// Only the latest prediction of each customer that is still eligible; of those about a moment, only the last stored
    /// of each customer.
    pub latest_only: bool,
    /// Only of these customers, by the facts of the pass.
    pub insights: InsightFilter,
    /// The pass of insights that the filter and the order follow; without one, no customer has facts.
    pub pass_id: Option<i64>,
    /// The order of the result.
    pub order: PredictionOrder,
}

impl PredictionFilter {
    /// The latest predictions of a target, by falling probability.
    #[must_use]
    pub fn latest(target: Target) -> Self {
        Self {
            target,
            min_probability: None,
            max_probability: None,
            grades: Vec::new(),
            customer_id: None,
            model_version: None,
            as_of: None,
            latest_only: true,
            insights: InsightFilter::default(),
            pass_id: None,
            order: PredictionOrder::default(),
        }
    }

    /// Whether the result depends on a pass of insights.
    #[must_use]
    pub fn needs_insights(&self) -> bool {
        self.order == PredictionOrder::NetRevenue || !self.insights.is_empty()
    }
}

/// The last row of a page of predictions; the next page begins after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictionCursor {
    /// Its probability.
    pub probability: f64,
    /// Its `score_time`.
    pub score_time: Time,
    /// The net revenue of its customer, where that decides the order; otherwise 0.
    pub net: i64,
    /// Its id.
    pub prediction_id: String,
    /// The pass of insights that all pages follow, where the list depends on one.
    pub pass_id: Option<i64>,
}

/// The part of a stored prediction that realised performance needs.
#[derive(Clone, Debug)]
pub struct PastPrediction {
    /// The customer that was scored.
    pub customer_id: String,
    /// The version of the model.
    pub model_version: i64,
    /// The moment the score is about.
    pub as_of: Time,
    /// The predicted probability.
    pub probability: f64,
}

/// Selects past predictions: those of one target that rest on a model.
#[derive(Clone, Debug)]
pub struct PastPredictionFilter {
    /// Only this target.
    pub target: Target,
    /// Only this model version.
    pub version: Option<i64>,
    /// Only predictions about moments from this one on.
    pub from: Time,
    /// Only predictions about moments before this one.
    pub to: Time,
    /// Only customers with an id above this one.
    pub after_customer: String,
    /// Only customers with an id up to this one, inclusive.
    pub last_customer: String,
}

/// Stores and reads predictions.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait PredictionStore: Send + Sync {
    /// Stores predictions, all or none, except those of customers that no longer exist or are merged into others;
    /// returns the ids of the customers that remain. A prediction is not among the latest ones if its customer is
    /// unlisted, or if an interaction that ends it is stored and, except for leads, has happened after its moment.
    async fn insert_predictions(&self, new: Arc<NewPredictions>) -> Result<HashSet<String>>;
    /// Removes the latest predictions of these customers about moments up to `as_of` from the latest ones, since they are
    /// not eligible then. The predictions stay.
    async fn forget_latest(&self, target: Target, as_of: Time, customer_ids: Vec<String>) -> Result<()>;
    /// Returns the latest predictions of these customers that an interaction can end.
    async fn listed_until_ended(&self, customer_ids: &[String]) -> Result<Vec<ListedPrediction>>;
    /// Removes all latest predictions of a target about this moment from the latest ones. The predictions stay.
    async fn forget_run(&self, target: Target, as_of: Time) -> Result<()>;
    /// Marks predictions, each by its own id and that of its customer, whose past a backfill of this time has changed.
    async fn mark_backfilled(&self, predictions: Vec<((String, String), Time)>) -> Result<()>;
    /// Returns one prediction, None when it is not stored.
    async fn prediction(&self, prediction_id: &str) -> Result<Option<Prediction>>;
    /// Returns at most `limit` predictions that follow `after`, each with its place in the list.
    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<PredictionCursor>,
        limit: usize,
    ) -> Result<Vec<(Prediction, PredictionCursor)>>;
    /// Returns the predictions of a customer about moments up to `until`, at most `limit`, the latest moment first and of
    /// one moment the one stored last.
    async fn predictions_until(
        &self,
        customer_id: &str,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Prediction>>;
    /// Returns the latest moments that predictions of a target are about, at most `limit`, the last one first.
    async fn prediction_times(&self, target: Target, limit: usize) -> Result<Vec<Time>>;
    /// Whether there is a prediction of this target about this moment.
    async fn has_predictions_about(&self, target: Target, as_of: Time) -> Result<bool>;
    /// Returns the number of predictions that pass the filter.
    async fn count_predictions(&self, filter: &PredictionFilter) -> Result<u64>;
    /// Returns the past predictions that pass the filter, except those of ids merged into others, ordered by customer, moment and time of storing.
    async fn past_predictions(&self, filter: PastPredictionFilter) -> Result<Vec<PastPrediction>>;
    /// Removes the predictions stored before this time, except the latest of each customer and target, in many
    /// small transactions; returns the number removed.
    async fn remove_predictions(&self, before: Time) -> Result<u64>;
}
