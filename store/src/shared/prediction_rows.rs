//! Predictions as both databases return them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{FromRow, types::Json};
use tally_model::{features::explain::FeatureValue, scoring::Reason};

use super::{Stamp, names};
use crate::{
    error::{Result, StoreError},
    predictions::{PastPrediction, Prediction, PredictionCursor},
};

/// A reason as it is stored in the `reasons` column, for dashboards to read.
#[derive(Serialize, Deserialize)]
pub(crate) struct ReasonJson {
    feature: String,
    value: Value,
    baseline: Value,
    contribution: f64,
    text: String,
}

/// The document of the `reasons` column.
pub(crate) fn reasons_json(prediction: &Prediction) -> Json<Vec<ReasonJson>> {
    Json(prediction.reasons.iter().map(ReasonJson::from).collect())
}

impl From<&Reason> for ReasonJson {
    fn from(reason: &Reason) -> Self {
        Self {
            feature: reason.feature.clone(),
            value: feature_value_to_json(&reason.value),
            baseline: feature_value_to_json(&reason.baseline),
            contribution: reason.contribution,
            text: reason.text.clone(),
        }
    }
}

impl From<ReasonJson> for Reason {
    fn from(json: ReasonJson) -> Self {
        Self {
            feature: json.feature,
            value: feature_value_from_json(json.value),
            baseline: feature_value_from_json(json.baseline),
            contribution: json.contribution,
            text: json.text,
        }
    }
}

fn feature_value_to_json(value: &FeatureValue) -> Value {
    match value {
        FeatureValue::Missing => Value::Null,
        FeatureValue::Number(number) => (*number).into(),
        FeatureValue::Boolean(truth) => (*truth).into(),
        FeatureValue::Text(text) => text.as_str().into(),
    }
}

fn feature_value_from_json(value: Value) -> FeatureValue {
    match value {
        Value::Number(number) => number.as_f64().map_or(FeatureValue::Missing, FeatureValue::Number),
        Value::Bool(truth) => FeatureValue::Boolean(truth),
        Value::String(text) => FeatureValue::Text(text),
        _ => FeatureValue::Missing,
    }
}

#[derive(FromRow)]
pub(super) struct PredictionRow {
    prediction_id: String,
    customer_id: String,
    target: String,
    model_version: i64,
    as_of_time: Stamp,
    known_time: Stamp,
    score_time: Stamp,
    horizon_days: i64,
    probability: f64,
    lower: f64,
    upper: f64,
    grade: String,
    basis: String,
    base_log_odds: f64,
    reasons: Json<Vec<ReasonJson>>,
    missing_features: Json<Vec<String>>,
    notes: Json<Vec<String>>,
    backfill_time: Option<Stamp>,
}

/// A prediction of a list.
#[derive(FromRow)]
pub(super) struct PlacedRow {
    #[sqlx(flatten)]
    prediction: PredictionRow,
    net: i64,
}

impl PlacedRow {
    /// The prediction and its place in the list, which follows this pass.
    pub(super) fn placed(self, pass_id: Option<i64>) -> Result<(Prediction, PredictionCursor)> {
        let prediction = Prediction::try_from(self.prediction)?;
        let cursor = PredictionCursor {
            probability: prediction.probability,
            score_time: prediction.score_time,
            net: self.net,
            prediction_id: prediction.prediction_id.clone(),
            pass_id,
        };
        Ok((prediction, cursor))
    }
}

impl TryFrom<PredictionRow> for Prediction {
    type Error = StoreError;

    fn try_from(row: PredictionRow) -> Result<Self> {
        Ok(Self {
            target: names::target(&row.target)?,
            grade: names::grade(&row.grade)?,
            basis: names::basis(&row.basis),
            horizon_days: u32::try_from(row.horizon_days)
                .map_err(|_| StoreError::Internal(format!("stored horizon of {} days", row.horizon_days)))?,
            prediction_id: row.prediction_id,
            customer_id: row.customer_id,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            known_at: row.known_time.0,
            score_time: row.score_time.0,
            probability: row.probability,
            lower: row.lower,
            upper: row.upper,
            base_log_odds: row.base_log_odds,
            reasons: row.reasons.0.into_iter().map(Reason::from).collect(),
            missing_features: row.missing_features.0,
            notes: row.notes.0,
            backfill_time: row.backfill_time.map(|stamp| stamp.0),
        })
    }
}

#[derive(FromRow)]
pub(super) struct PastPredictionRow {
    customer_id: String,
    model_version: i64,
    as_of_time: Stamp,
    probability: f64,
}

impl From<PastPredictionRow> for PastPrediction {
    fn from(row: PastPredictionRow) -> Self {
        Self {
            customer_id: row.customer_id,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            probability: row.probability,
        }
    }
}
