//! Scoring: ids in, scores out. One path serves a single id, a batch and the whole population, so
//! that a customer's score is the same bits whichever way it is asked for.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tally_model::{
    history::History,
    scoring::{Score, Told},
    time::Time,
};
use uuid::Uuid;

use crate::{
    app::App,
    cache::{Histories, Warm},
    error::{Error, Result},
    models::Model,
    store::Prediction,
};

/// Ids whose histories are fetched at a time.
const CHUNK: usize = 1_000;

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
    pub fn score(&self, customer_id: String, history: &History) -> Result<Prediction> {
        self.answer(customer_id, history, in_words)
    }

    fn answer<T>(
        &self,
        customer_id: String,
        history: &History,
        listen: impl FnOnce(Answer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let listen = |told: &Told<'_>| listen(Answer { customer_id, question: self, told });
        Ok(model.scorer.score(history, *as_of, *known_at, *max_reasons, listen)?)
    }

    /// The answer of a warm customer, by what stands of it. From the second time on that is kept for the next.
    fn answer_warm<T>(
        &self,
        customer_id: String,
        known: &Arc<Warm>,
        histories: &Histories,
        listen: impl FnOnce(Answer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let kept = known.standing(model.name).filter(|kept| kept.stands(*as_of, *known_at, *max_reasons));
        if let Some(standing) = kept {
            let listen = |told: &Told<'_>| listen(Answer { customer_id, question: self, told });
            return Ok(model.scorer.tell(standing, *as_of, *max_reasons, listen));
        }
        if !known.asked_again() || !histories.have_room() {
            return known.history.with(|history| self.answer(customer_id, history, listen))?;
        }
        let standing = known
            .history
            .with(|history| model.scorer.standing(history, *as_of, *known_at, *max_reasons))??;
        let id = customer_id.clone();
        let listen = |told: &Told<'_>| listen(Answer { customer_id, question: self, told });
        let heard = model.scorer.tell(&standing, *as_of, *max_reasons, listen);
        histories.keep(&id, known, model.name, standing);
        Ok(heard)
    }
}

/// An answer to a question, as it is told.
pub struct Answer<'a> {
    /// Of whom.
    pub customer_id: String,
    /// What was asked.
    pub question: &'a Question,
    /// The score.
    pub told: &'a Told<'a>,
}

/// The answer as it is stored, but without an id.
#[must_use]
pub fn in_words(answer: Answer<'_>) -> Prediction {
    let Answer { customer_id, question, told } = answer;
    let Question { model, as_of, known_at, .. } = question;
    let score = Score::of(told);
    Prediction {
        prediction_id: String::new(),
        customer_id,
        target: model.name.target,
        model_version: model.name.version,
        as_of: *as_of,
        known_at: *known_at,
        score_time: *known_at,
        horizon_days: model.scorer.artifact().outcome.horizon_days,
        probability: score.probability,
        lower: score.lower,
        upper: score.upper,
        grade: score.grade,
        basis: score.basis,
        base_log_odds: score.base_log_odds,
        reasons: score.reasons,
        missing_features: score.missing_features,
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

/// One result an id, in the order asked, each made into what the caller wants of it.
///
/// # Errors
/// When the store fails. That an id has no score is a result of its own.
pub async fn score<T>(
    app: &App,
    ids: Vec<String>,
    question: &Question,
    source: Source,
    mut made_into: impl FnMut(Result<Answer<'_>>) -> T,
) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(ids.len());
    let mut ids = ids.into_iter();
    let mut pace = Pace::begin();
    loop {
        let chunk: Vec<String> = ids.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(results);
        }
        match source {
            Source::Warm => {
                let known = app.histories.get(&chunk).await?;
                for (id, known) in chunk.into_iter().zip(known) {
                    let listen = |answer: Answer<'_>| made_into(Ok(answer));
                    let result = match known {
                        Some(known) => question.answer_warm(id, &known, &app.histories, listen),
                        None => Err(Error::unknown_customer(&id)),
                    };
                    results.push(result.unwrap_or_else(|error| made_into(Err(error))));
                    pace.keep(results.len()).await;
                }
            }
            Source::Database => {
                let histories = app.store.histories(&chunk).await?;
                for (id, history) in chunk.into_iter().zip(histories) {
                    let listen = |answer: Answer<'_>| made_into(Ok(answer));
                    let result = match history {
                        Some(history) => history
                            .with(|history| question.answer(id, history, listen))
                            .map_err(Error::from)
                            .flatten(),
                        None => Err(Error::unknown_customer(&id)),
                    };
                    results.push(result.unwrap_or_else(|error| made_into(Err(error))));
                    pace.keep(results.len()).await;
                }
            }
        }
    }
}

/// Lets others go on that wait for the same worker. Many scores are made in the course of one request, and go on
/// where they are: to hand them to a thread of its own would cost more than a few of them.
struct Pace(Instant);

impl Pace {
    /// So long the others wait at most, unless a single score takes longer.
    const TURN: Duration = Duration::from_micros(200);
    /// After so many scores the clock is looked at.
    const STEP: usize = 8;

    fn begin() -> Self {
        Self(Instant::now())
    }

    async fn keep(&mut self, done: usize) {
        if done.is_multiple_of(Self::STEP) && self.0.elapsed() > Self::TURN {
            tokio::task::yield_now().await;
            self.0 = Instant::now();
        }
    }
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
