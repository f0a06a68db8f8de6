//! Scoring: ids in, scores out. One path serves a single id, a batch and the whole population, so
//! that a customer's score is the same bits whichever way it is asked for.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tally_model::{
    history::History,
    scoring::{Score, ScoreView},
    time::Time,
};
use uuid::Uuid;

use crate::{
    app::App,
    catalog::models::Model,
    histories::cache::{Histories, Warm},
    platform::error::{Error, Result},
};
use tally_store::Prediction;

/// Ids whose histories are fetched at a time.
const CHUNK: usize = 1_000;

/// What is asked for.
#[derive(Clone)]
pub struct ScoreRequest {
    /// By this model.
    pub model: Arc<Model>,
    /// About this moment.
    pub as_of: Time,
    /// With what was known by then.
    pub known_at: Time,
    /// With so many reasons.
    pub max_reasons: usize,
}

impl ScoreRequest {
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
        self.answer(customer_id, history, into_prediction)
    }

    fn answer<T>(
        &self,
        customer_id: String,
        history: &History,
        f: impl FnOnce(ScoredCustomer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
        Ok(model.scorer.score(history, *as_of, *known_at, *max_reasons, f)?)
    }

    /// The answer of a warm customer, by what stands of it. From the second time on that is kept for the next.
    fn answer_warm<T>(
        &self,
        customer_id: String,
        known: &Arc<Warm>,
        histories: &Histories,
        f: impl FnOnce(ScoredCustomer<'_>) -> T,
    ) -> Result<T> {
        let Self { model, as_of, known_at, max_reasons } = self;
        let kept =
            known.prepared(model.name).filter(|kept| kept.is_valid_at(*as_of, *known_at, *max_reasons));
        if let Some(prepared) = kept {
            let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
            return Ok(model.scorer.with_view(prepared, *as_of, *max_reasons, f));
        }
        if !known.asked_again() || !histories.have_room() {
            return known.history.with(|history| self.answer(customer_id, history, f))?;
        }
        let prepared = known
            .history
            .with(|history| model.scorer.prepared(history, *as_of, *known_at, *max_reasons))??;
        let id = customer_id.clone();
        let f = |view: &ScoreView<'_>| f(ScoredCustomer { customer_id, request: self, view });
        let result = model.scorer.with_view(&prepared, *as_of, *max_reasons, f);
        histories.keep(&id, known, model.name, prepared);
        Ok(result)
    }
}

/// An answer to a question, as it is told.
pub struct ScoredCustomer<'a> {
    /// Of whom.
    pub customer_id: String,
    /// What was asked.
    pub request: &'a ScoreRequest,
    /// The score.
    pub view: &'a ScoreView<'a>,
}

/// The answer as it is stored, but without an id.
#[must_use]
pub fn into_prediction(answer: ScoredCustomer<'_>) -> Prediction {
    let ScoredCustomer { customer_id, request, view } = answer;
    let ScoreRequest { model, as_of, known_at, .. } = request;
    let score = Score::of(view);
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
    request: &ScoreRequest,
    source: Source,
    mut made_into: impl FnMut(Result<ScoredCustomer<'_>>) -> T,
) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(ids.len());
    let mut ids = ids.into_iter();
    let mut pace = YieldBudget::begin();
    loop {
        let chunk: Vec<String> = ids.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(results);
        }
        match source {
            Source::Warm => {
                let known = app.histories.get(&chunk).await?;
                for (id, known) in chunk.into_iter().zip(known) {
                    let f = |answer: ScoredCustomer<'_>| made_into(Ok(answer));
                    let result = match known {
                        Some(known) => request.answer_warm(id, &known, &app.histories, f),
                        None => Err(Error::unknown_customer(&id)),
                    };
                    results.push(result.unwrap_or_else(|error| made_into(Err(error))));
                    pace.keep(results.len()).await;
                }
            }
            Source::Database => {
                let histories = app.store.histories(&chunk).await?;
                for (id, history) in chunk.into_iter().zip(histories) {
                    let f = |answer: ScoredCustomer<'_>| made_into(Ok(answer));
                    let result = match history {
                        Some(history) => history
                            .with(|history| request.answer(id, history, f))
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
struct YieldBudget(Instant);

impl YieldBudget {
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
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
}

/// Stores the scores among `results`, giving each its id. A score whose customer was deleted
/// meanwhile becomes NOT_FOUND. Scores that are to be kept are made when the writes under way have
/// [settled](crate::ingest::write_barrier::WriteBarrier::settled).
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
