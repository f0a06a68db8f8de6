//! Replay: a stored prediction is computed again from (customer, as_of, known_at, model).
//!
//! That gives the same bits, since a score is a pure function of those four: what is recorded later has a
//! later record time and does not count, and what is retracted later counts until then. A backfill is recorded as
//! known before, and may change the past; it marks the predictions that it concerns.

use tally_model::{features::explain::FeatureValue, history::History};
use tally_store::Prediction;

use super::{Predictions, ScoreRequest};
use crate::{
    catalog::ModelName,
    platform::error::{Error, Result},
};

/// A stored prediction and the same one computed again.
pub struct Replay {
    /// The prediction as it is stored.
    pub stored: Prediction,
    /// The prediction as it is computed now; None when the model is not about such a customer any more.
    pub score: Option<Prediction>,
    /// A sentence for each difference, after one on the backfill that explains them, if there was one; empty when
    /// every bit is the same.
    pub differences: Vec<String>,
}

impl Predictions {
    /// Computes a stored prediction again, with as many reasons.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails or the model cannot be loaded.
    pub async fn replay(&self, prediction_id: &str) -> Result<Replay> {
        let stored = self.stored(prediction_id).await?;
        let history = self.history(&stored).await?;
        let request = self.request_of(&stored, stored.reasons.len()).await?;
        Ok(match request.score(stored.customer_id.clone(), &history) {
            Ok(score) => {
                let score = Prediction {
                    prediction_id: stored.prediction_id.clone(),
                    score_time: stored.score_time,
                    backfill_time: stored.backfill_time,
                    ..score
                };
                let differences = explained(&stored, differences(&stored, &score));
                Replay { differences, score: Some(score), stored }
            }
            Err(Error::Precondition { message, .. }) => {
                Replay { differences: explained(&stored, vec![message]), stored, score: None }
            }
            Err(error) => return Err(error),
        })
    }

    pub(super) async fn stored(&self, prediction_id: &str) -> Result<Prediction> {
        let stored = self.store.prediction(prediction_id).await?;
        stored.ok_or_else(|| Error::unknown_prediction(prediction_id))
    }

    /// The history of a prediction's customer. A deleted customer takes its predictions along.
    pub(super) async fn history(&self, stored: &Prediction) -> Result<History> {
        let found = self.store.histories(std::slice::from_ref(&stored.customer_id)).await?.pop().flatten();
        let packed = found.ok_or_else(|| Error::unknown_prediction(&stored.prediction_id))?;
        Ok(packed.unpack()?)
    }

    /// The request that the prediction answered.
    pub(super) async fn request_of(&self, stored: &Prediction, max_reasons: usize) -> Result<ScoreRequest> {
        let name = ModelName { target: stored.target, version: stored.model_version };
        let model = self.catalog.version(name).await?;
        Ok(ScoreRequest { model, as_of: stored.as_of, known_at: stored.known_at, max_reasons })
    }
}

/// The differences of a prediction, after the backfill that explains them, if it is marked by one.
fn explained(stored: &Prediction, mut differences: Vec<String>) -> Vec<String> {
    if let Some(time) = stored.backfill_time
        && !differences.is_empty()
    {
        let sentence = format!("the history was backfilled at {time}, after this prediction was stored");
        differences.insert(0, sentence);
    }
    differences
}

/// What differs between two scores of one request, bit for bit.
fn differences(stored: &Prediction, now: &Prediction) -> Vec<String> {
    let mut found = Differences(Vec::new());
    found.number("probability", stored.probability, now.probability);
    found.number("lower", stored.lower, now.lower);
    found.number("upper", stored.upper, now.upper);
    found.debug("grade", &stored.grade, &now.grade);
    found.debug("basis", &stored.basis, &now.basis);
    found.number("base_log_odds", stored.base_log_odds, now.base_log_odds);
    found.debug("horizon_days", &stored.horizon_days, &now.horizon_days);
    found.debug("missing_features", &stored.missing_features, &now.missing_features);
    found.debug("notes", &stored.notes, &now.notes);
    found.debug("number of reasons", &stored.reasons.len(), &now.reasons.len());
    for (n, (stored, now)) in stored.reasons.iter().zip(&now.reasons).enumerate() {
        let field = |name: &str| format!("reasons[{n}].{name}");
        found.debug(&field("feature"), &stored.feature, &now.feature);
        // Another feature in this place has other values anyway.
        if stored.feature == now.feature {
            found.feature_value(&field("value"), &stored.value, &now.value);
            found.feature_value(&field("baseline"), &stored.baseline, &now.baseline);
            found.number(&field("contribution"), stored.contribution, now.contribution);
            found.debug(&field("text"), &stored.text, &now.text);
        }
    }
    found.0
}

struct Differences(Vec<String>);

impl Differences {
    fn number(&mut self, field: &str, stored: f64, now: f64) {
        if stored.to_bits() != now.to_bits() {
            self.0.push(format!("{field}: stored {stored}, now {now}"));
        }
    }

    fn debug<T: PartialEq + std::fmt::Debug>(&mut self, field: &str, stored: &T, now: &T) {
        if stored != now {
            self.0.push(format!("{field}: stored {stored:?}, now {now:?}"));
        }
    }

    fn feature_value(&mut self, field: &str, stored: &FeatureValue, now: &FeatureValue) {
        match (stored, now) {
            (FeatureValue::Number(stored), FeatureValue::Number(now)) => self.number(field, *stored, *now),
            _ => self.debug(field, stored, now),
        }
    }
}
