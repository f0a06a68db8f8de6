//! The explained change: where the difference in log-odds between two stored predictions comes from.

use std::collections::HashMap;

use tally_model::{history::History, scoring::Reason, time::Time};
use tally_store::Prediction;

use super::{Predictions, ScoreRequest};
use crate::platform::error::{Error, Result};

/// Two log-odds that differ by less count as the same.
const TOLERANCE: f64 = 1e-9;

/// Two predictions of one customer and target, and where the change in log-odds comes from.
pub struct ExplainedChange {
    /// The first prediction, as stored.
    pub from: Prediction,
    /// The second prediction, as stored.
    pub to: Prediction,
    /// The log-odds of `from`.
    pub from_log_odds: f64,
    /// The log-odds of `to`.
    pub to_log_odds: f64,
    /// The part of what had happened by the earlier `as_of`, but was recorded between the two.
    pub late_data: LogOddsChange,
    /// The part of what happened, or did not happen, between the two moments.
    pub behaviour: LogOddsChange,
    /// The part of another model that judges the same facts.
    pub retraining: LogOddsChange,
}

/// A change in log-odds, the sum of the base's change and the features' changes.
pub struct LogOddsChange {
    /// The whole change.
    pub log_odds: f64,
    /// The base's change.
    pub base_log_odds: f64,
    /// The features' changes, the strongest first.
    pub features: Vec<FeatureChange>,
}

/// How the contribution of a feature changed.
pub struct FeatureChange {
    /// The feature's name.
    pub feature: String,
    /// The change.
    pub log_odds: f64,
    /// The reason before; None where the feature contributed nothing.
    pub from: Option<Reason>,
    /// The reason after; None where the feature contributes nothing.
    pub to: Option<Reason>,
}

impl Predictions {
    /// Splits the change between two stored predictions.
    ///
    /// Four scores are computed, from the prediction that knew less to the one that knew more: first its
    /// knowledge is brought up to date, then its moment, then its model. Each step is a part of the
    /// change, so that the parts always add up. The steps do not depend on which of the two the caller
    /// names first; in the opposite order, every number changes its sign.
    ///
    /// # Errors
    /// NOT_FOUND when one is not stored; INVALID_ARGUMENT when they differ in customer or target;
    /// FAILED_PRECONDITION (NOT_REPRODUCIBLE, NOT_COMPARABLE) when one of the four scores does not come
    /// out as stored, or cannot be computed; when the store fails or a model cannot be loaded.
    pub async fn compare(&self, from_id: &str, to_id: &str) -> Result<ExplainedChange> {
        let (from, to) = (self.stored(from_id).await?, self.stored(to_id).await?);
        check_comparable(&from, &to)?;
        let reversed = (from.known_at, from.as_of) > (to.known_at, to.as_of);
        let (earlier, later) = if reversed { (&to, &from) } else { (&from, &to) };
        let scores = self.path(earlier, later).await?;
        let step = |n: usize| {
            let (before, after) = (&scores[n], &scores[n + 1]);
            if reversed { LogOddsChange::new(after, before) } else { LogOddsChange::new(before, after) }
        };
        let (late_data, behaviour, retraining) = (step(0), step(1), step(2));
        let [earlier, .., later] = scores.map(|score| log_odds(&score));
        let (from_log_odds, to_log_odds) = if reversed { (later, earlier) } else { (earlier, later) };
        Ok(ExplainedChange { from, to, from_log_odds, to_log_odds, late_data, behaviour, retraining })
    }

    /// The four scores that lead from the earlier prediction to the later one.
    async fn path(&self, earlier: &Prediction, later: &Prediction) -> Result<[Prediction; 4]> {
        // One read for all four.
        let history = self.history(earlier).await?;
        let of_earlier = self.request_of(earlier, usize::MAX).await?;
        let of_later = self.request_of(later, usize::MAX).await?;
        let between = |as_of: Time| {
            let request = ScoreRequest { as_of, known_at: later.known_at, ..of_earlier.clone() };
            score_between(&request, &earlier.customer_id, &history)
        };
        Ok([
            reproduced(&of_earlier, earlier, &history)?,
            between(earlier.as_of)?,
            between(later.as_of)?,
            reproduced(&of_later, later, &history)?,
        ])
    }
}

fn check_comparable(from: &Prediction, to: &Prediction) -> Result<()> {
    let same = [("customer", from.customer_id == to.customer_id), ("target", from.target == to.target)];
    let Some((what, _)) = same.iter().find(|(_, same)| !same) else { return Ok(()) };
    let allowed = "allowed are two of one customer and one target";
    Err(Error::invalid(
        "to_prediction_id",
        format!("is of another {what} than from_prediction_id; {allowed}"),
    ))
}

impl LogOddsChange {
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

/// The log-odds of a score with all its reasons. They do not follow from the probability, which is kept
/// away from 0 and 1.
fn log_odds(score: &Prediction) -> f64 {
    score.base_log_odds + score.reasons.iter().map(|reason| reason.contribution).sum::<f64>()
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

/// A score on the way between the two predictions.
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
