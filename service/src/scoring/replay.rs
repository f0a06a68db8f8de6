//! Replay: a stored prediction, computed again from (customer, as_of, known_at, model); and why two
//! of them differ.
//!
//! Both rest on scores being pure functions of those four. What is recorded later has a later record
//! time, so it does not count; a backfill says that it was known before, and may change the past.

use std::collections::HashMap;

use tally_model::{features::explain::FeatureValue, history::History, scoring::Reason, time::Time};

use crate::{
    app::App,
    catalog::models::ModelName,
    platform::error::{Error, Result},
    scoring::score::ScoreRequest,
};
use tally_store::Prediction;

/// How far apart two log-odds may be that count as the same.
const TOLERANCE: f64 = 1e-9;

/// A stored prediction and what comes out now.
pub struct Replay {
    /// What was stored.
    pub stored: Prediction,
    /// What comes out now; none when the model is not about such a customer any more.
    pub score: Option<Prediction>,
    /// What is not the same, a sentence each; empty when every bit is.
    pub differences: Vec<String>,
}

/// Computes a stored prediction again, with as many reasons.
///
/// # Errors
/// NOT_FOUND when there is none; when the store fails or the model cannot be read.
pub async fn replay(app: &App, prediction_id: &str) -> Result<Replay> {
    let stored = stored(app, prediction_id).await?;
    let history = history(app, &stored).await?;
    let request = request(app, &stored, stored.reasons.len()).await?;
    Ok(match request.score(stored.customer_id.clone(), &history) {
        Ok(score) => {
            let score = Prediction {
                prediction_id: stored.prediction_id.clone(),
                score_time: stored.score_time,
                ..score
            };
            Replay { differences: differences(&stored, &score), score: Some(score), stored }
        }
        Err(Error::Precondition { message, .. }) => {
            Replay { stored, score: None, differences: vec![message] }
        }
        Err(error) => return Err(error),
    })
}

/// Two predictions of one customer and one target, and where the change in log-odds comes from.
pub struct Comparison {
    /// As stored.
    pub from: Prediction,
    /// As stored.
    pub to: Prediction,
    /// Log-odds of `from`.
    pub from_log_odds: f64,
    /// Log-odds of `to`.
    pub to_log_odds: f64,
    /// What had happened by the earlier `as_of`, but was recorded between the two.
    pub late_data: Change,
    /// What happened, or did not, between the two moments.
    pub behaviour: Change,
    /// What the other model makes of the same facts.
    pub retraining: Change,
}

/// A change in log-odds: that of the base and those of the features add up to it.
pub struct Change {
    /// All of it.
    pub log_odds: f64,
    /// The part of the base.
    pub base_log_odds: f64,
    /// The features that changed, the strongest change first.
    pub features: Vec<FeatureChange>,
}

/// How the contribution of a feature changed.
pub struct FeatureChange {
    /// The feature's name.
    pub feature: String,
    /// The change.
    pub log_odds: f64,
    /// What it said before; None where it contributed nothing.
    pub from: Option<Reason>,
    /// What it says after; None where it contributes nothing.
    pub to: Option<Reason>,
}

/// Compares two stored predictions.
///
/// Four scores are taken, from the prediction that knew less to the one that knew more: first its
/// knowledge is brought up to date, then its moment, then its model. Each step is a part of the
/// change, so the parts add up whatever they are. The steps do not depend on which of the two the
/// caller names first: the other way round, every number changes its sign.
///
/// # Errors
/// NOT_FOUND when one is not stored; INVALID_ARGUMENT when they are not of one customer and target;
/// FAILED_PRECONDITION (NOT_REPRODUCIBLE, NOT_COMPARABLE) when one of the four scores does not come
/// out as stored, or not at all; when the store fails or a model cannot be read.
pub async fn compare(app: &App, from_id: &str, to_id: &str) -> Result<Comparison> {
    let (from, to) = (stored(app, from_id).await?, stored(app, to_id).await?);
    let same = [("customer", from.customer_id == to.customer_id), ("target", from.target == to.target)];
    if let Some((what, _)) = same.iter().find(|(_, same)| !same) {
        return Err(Error::invalid(
            "to_prediction_id",
            format!(
                "is of another {what} than from_prediction_id; allowed are two of one customer and one target"
            ),
        ));
    }
    let turned = (from.known_at, from.as_of) > (to.known_at, to.as_of);
    let (earlier, later) = if turned { (&to, &from) } else { (&from, &to) };
    // One read for all four.
    let history = history(app, &from).await?;
    let of_earlier = request(app, earlier, usize::MAX).await?;
    let of_later = request(app, later, usize::MAX).await?;
    let between = |as_of: Time| {
        let request = ScoreRequest { as_of, known_at: later.known_at, ..of_earlier.clone() };
        score_between(&request, &from.customer_id, &history)
    };
    let scores = [
        reproduced(&of_earlier, earlier, &history)?,
        between(earlier.as_of)?,
        between(later.as_of)?,
        reproduced(&of_later, later, &history)?,
    ];
    let step = |n: usize| {
        let (before, after) = (&scores[n], &scores[n + 1]);
        if turned { Change::new(after, before) } else { Change::new(before, after) }
    };
    let (late_data, behaviour, retraining) = (step(0), step(1), step(2));
    let [earlier, .., later] = scores.map(|score| log_odds(&score));
    let (from_log_odds, to_log_odds) = if turned { (later, earlier) } else { (earlier, later) };
    Ok(Comparison { from, to, from_log_odds, to_log_odds, late_data, behaviour, retraining })
}

impl Change {
    fn new(before: &Prediction, after: &Prediction) -> Self {
        let mut old: HashMap<&str, &Reason> =
            before.reasons.iter().map(|reason| (reason.feature.as_str(), reason)).collect();
        let mut features: Vec<FeatureChange> = after
            .reasons
            .iter()
            .map(|reason| FeatureChange::new(old.remove(reason.feature.as_str()), Some(reason)))
            .collect();
        let gone = before.reasons.iter().filter(|reason| old.contains_key(reason.feature.as_str()));
        features.extend(gone.map(|reason| FeatureChange::new(Some(reason), None)));
        features.retain(|feature| feature.from != feature.to);
        features.sort_by(|a, b| b.log_odds.abs().total_cmp(&a.log_odds.abs()));
        Self {
            log_odds: log_odds(after) - log_odds(before),
            base_log_odds: after.base_log_odds - before.base_log_odds,
            features,
        }
    }
}

impl FeatureChange {
    fn new(from: Option<&Reason>, to: Option<&Reason>) -> Self {
        let contribution = |reason: Option<&Reason>| reason.map_or(0.0, |reason| reason.contribution);
        Self {
            feature: to.or(from).map(|reason| reason.feature.clone()).unwrap_or_default(),
            log_odds: contribution(to) - contribution(from),
            from: from.cloned(),
            to: to.cloned(),
        }
    }
}

/// The log-odds of a score with all its reasons. The probability would not do: it is kept off 0 and 1.
fn log_odds(score: &Prediction) -> f64 {
    score.base_log_odds + score.reasons.iter().map(|reason| reason.contribution).sum::<f64>()
}

async fn stored(app: &App, prediction_id: &str) -> Result<Prediction> {
    let stored = app.store.prediction(prediction_id).await?;
    stored.ok_or_else(|| Error::unknown_prediction(prediction_id))
}

/// What is stored of the customer. A deleted customer takes its predictions along.
async fn history(app: &App, stored: &Prediction) -> Result<History> {
    let found = app.store.histories(std::slice::from_ref(&stored.customer_id)).await?.pop().flatten();
    let packed = found.ok_or_else(|| Error::unknown_prediction(&stored.prediction_id))?;
    Ok(packed.unpack()?)
}

/// The question that the prediction answered.
async fn request(app: &App, stored: &Prediction, max_reasons: usize) -> Result<ScoreRequest> {
    let name = ModelName { target: stored.target, version: stored.model_version };
    let model = app.models.version(name).await?;
    Ok(ScoreRequest { model, as_of: stored.as_of, known_at: stored.known_at, max_reasons })
}

/// The score behind a stored prediction, with all its reasons.
fn reproduced(request: &ScoreRequest, stored: &Prediction, history: &History) -> Result<Prediction> {
    let log_odds = |p: f64| (p / (1.0 - p)).ln();
    let same = |score: &Prediction| {
        score.basis == stored.basis
            && (log_odds(score.probability) - log_odds(stored.probability)).abs() <= TOLERANCE
    };
    match request.score(stored.customer_id.clone(), history) {
        Ok(score) if same(&score) => Ok(score),
        Ok(_) | Err(Error::Precondition { .. }) => Err(Error::Precondition {
            reason: "NOT_REPRODUCIBLE",
            message: format!(
                "prediction `{}` does not come out the same any more, so its change cannot be split; \
                 ReplayPrediction says what differs",
                stored.prediction_id
            ),
        }),
        Err(error) => Err(error),
    }
}

/// A score between the two predictions.
fn score_between(request: &ScoreRequest, customer_id: &str, history: &History) -> Result<Prediction> {
    request.score(customer_id.to_owned(), history).map_err(|error| match error {
        Error::Precondition { message, .. } => Error::Precondition {
            reason: "NOT_COMPARABLE",
            message: format!(
                "the change cannot be split: it leads over a score by {} as of {}, known at {}, but there {message}",
                request.model.name, request.as_of, request.known_at
            ),
        },
        other => other,
    })
}

/// What is not the same in two scores of one question, bit for bit.
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
    found.debug("number of reasons", &stored.reasons.len(), &now.reasons.len());
    for (n, (stored, now)) in stored.reasons.iter().zip(&now.reasons).enumerate() {
        let field = |name: &str| format!("reasons[{n}].{name}");
        found.debug(&field("feature"), &stored.feature, &now.feature);
        // Another feature in this place has other values, which goes without saying.
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
