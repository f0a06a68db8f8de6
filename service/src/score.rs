//! Scoring: ids in, scores out. One path serves a single id, a batch and the whole population, so
//! that a customer's score is the same bits whichever way it is asked for.

use std::{collections::HashSet, sync::Arc};

use tally_model::{
    explain::Natural,
    history::{History, Packed},
    scorer::{Reason, Score},
    time::Time,
};
use uuid::Uuid;

use crate::{
    app::App,
    error::{Error, Result},
    models::Model,
    store::Prediction,
};

/// Ids whose histories are fetched, and scored, at a time.
pub const CHUNK: usize = 1_000;
/// More scores than these are computed off the async workers.
const INLINE: usize = 8;

/// What is asked for.
#[derive(Clone)]
pub struct Question {
    /// By this model.
    pub model: Arc<Model>,
    /// About this moment.
    pub as_of: Time,
    /// With what was known by then.
    pub known_at: Time,
    /// With so many reasons.
    pub max_reasons: usize,
}

impl Question {
    /// A question asked `now`. About an earlier moment, only what was known then counts, as in
    /// training: what was reported late would flatter a look back.
    #[must_use]
    pub fn new(model: Arc<Model>, as_of: Time, now: Time, max_reasons: usize) -> Self {
        Self { model, as_of, known_at: as_of.min(now), max_reasons }
    }

    /// The score of one history, not stored yet.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when the model is not about such a customer.
    pub fn score(&self, customer_id: &str, history: &History) -> Result<Prediction> {
        let score = self.model.scorer.score(history, self.as_of, self.known_at, self.max_reasons)?;
        Ok(self.prediction(customer_id, score))
    }

    /// The scores of these customers; None is an unknown one.
    fn score_each(&self, ids: &[String], histories: &[Option<Packed>]) -> Vec<Result<Prediction>> {
        let one = |(id, history): (&String, &Option<Packed>)| match history {
            Some(history) => history.with(|history| self.score(id, history))?,
            None => Err(Error::unknown_customer(id)),
        };
        ids.iter().zip(histories).map(one).collect()
    }

    /// A score as it is stored and told.
    pub(crate) fn prediction(&self, customer_id: &str, score: Score) -> Prediction {
        Prediction {
            prediction_id: String::new(),
            customer_id: customer_id.to_owned(),
            target: self.model.name.target,
            model_version: self.model.name.version,
            as_of: self.as_of,
            known_at: self.known_at,
            score_time: self.known_at,
            horizon_days: self.model.scorer.artifact().outcome.horizon_days,
            probability: score.probability,
            lower: score.lower,
            upper: score.upper,
            grade: score.grade,
            basis: score.basis,
            base_log_odds: score.base_log_odds,
            reasons: score.reasons.into_iter().map(storable).collect(),
            missing_features: score.missing_features,
        }
    }
}

/// The reason as it comes back from either store: JSON in PostgreSQL knows no negative zero.
fn storable(reason: Reason) -> Reason {
    let natural = |value| match value {
        Natural::Number(number) => Natural::Number(number + 0.0),
        other => other,
    };
    Reason {
        value: natural(reason.value),
        baseline: natural(reason.baseline),
        contribution: reason.contribution + 0.0,
        ..reason
    }
}

/// Where histories are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From memory where they are warm: what other servers have written may be missing for a second.
    Warm,
    /// In the database: for scores that are kept, so that they can be replayed.
    Database,
}

/// One result an id, in the order asked.
///
/// # Errors
/// When the store fails. That an id has no score is a result of its own.
pub async fn score(
    app: &App,
    ids: &[String],
    question: &Question,
    source: Source,
) -> Result<Vec<Result<Prediction>>> {
    let mut results = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(CHUNK) {
        let histories = match source {
            Source::Warm => app.histories.get(chunk).await?,
            Source::Database => app.store.histories(chunk).await?,
        };
        if chunk.len() <= INLINE {
            results.extend(question.score_each(chunk, &histories));
        } else {
            let (question, ids) = (question.clone(), chunk.to_vec());
            results.extend(off_the_workers(move || question.score_each(&ids, &histories)).await?);
        }
    }
    Ok(results)
}

/// Runs what keeps a core busy where no request waits behind it.
///
/// # Errors
/// INTERNAL when the work panics.
pub async fn off_the_workers<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

/// Stores the scores among `results`, giving each its id. A score whose customer was deleted
/// meanwhile becomes NOT_FOUND. Scores that are to be kept are made when the writes under way have
/// [settled](crate::writers::Writers::settled).
///
/// # Errors
/// When the store fails; then nothing is stored.
pub async fn persist(app: &App, results: Vec<Result<Prediction>>) -> Result<Vec<Result<Prediction>>> {
    let score_time = app.now();
    let (mut rows, mut refused) = (Vec::with_capacity(results.len()), Vec::with_capacity(results.len()));
    for result in results {
        let result = result.map(|prediction| {
            let prediction_id = Uuid::now_v7().to_string();
            rows.push(Prediction { prediction_id, score_time, ..prediction });
        });
        refused.push(result.err());
    }
    let rows = Arc::new(rows);
    let stored = match rows.is_empty() {
        true => HashSet::new(),
        false => app.store.insert_predictions(Arc::clone(&rows)).await?,
    };
    let mut rows = Arc::unwrap_or_clone(rows).into_iter().map(|prediction| {
        let known = stored.contains(&prediction.customer_id);
        if known { Ok(prediction) } else { Err(Error::unknown_customer(&prediction.customer_id)) }
    });
    Ok(refused.into_iter().filter_map(|refused| refused.map(Err).or_else(|| rows.next())).collect())
}
