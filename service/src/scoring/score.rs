//! Scores of customers by their ids, in the order asked, and stored where that is wanted.

use std::{collections::HashSet, sync::Arc};

use tally_model::time::Time;
use tally_store::{NewPredictions, Prediction, Store};
use uuid::Uuid;

use super::{ScoreRequest, ScoredCustomer, into_prediction, yield_budget::YieldBudget};
use crate::{
    histories::Histories,
    ingest::{backfills::BackfillWatch, write_barrier::WriteBarrier},
    platform::{
        clock::Clock,
        error::{Error, Result},
    },
};

/// Ids whose histories are fetched at a time.
const CHUNK: usize = 1_000;

/// Scores customers by their ids.
#[derive(Clone)]
pub struct Scoring {
    pub(super) store: Arc<dyn Store>,
    histories: Histories,
    pub(super) barrier: WriteBarrier,
    pub(super) clock: Arc<Clock>,
}

impl Scoring {
    /// Scoring of the customers in `store`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        histories: Histories,
        barrier: WriteBarrier,
        clock: Arc<Clock>,
    ) -> Self {
        Self { store, histories, barrier, clock }
    }

    /// The same for work that lasts, see [`Store::patient`].
    pub(crate) fn patient(&self) -> Self {
        Self { store: self.store.patient(), ..self.clone() }
    }

    /// Waits for the writes that are in flight.
    pub(crate) async fn wait_for_writes(&self) {
        self.barrier.wait_for_in_flight().await;
    }

    /// Scores customers, from memory where their histories are warm: what other servers have written may
    /// be missing for a second. A merged id is scored as the customer that it is merged into. Returns what `f` makes of each result, in the order asked; an id without
    /// a score is an error of its own.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn score<T>(
        &self,
        ids: Vec<String>,
        request: &ScoreRequest,
        mut f: impl FnMut(Result<ScoredCustomer<'_>>) -> T,
    ) -> Result<Vec<T>> {
        let mut results = Vec::with_capacity(ids.len());
        let mut ids = self.histories.survivors(ids).into_iter();
        let mut budget = YieldBudget::start();
        loop {
            let chunk: Vec<String> = ids.by_ref().take(CHUNK).collect();
            if chunk.is_empty() {
                return Ok(results);
            }
            let known = self.histories.get(&chunk).await?;
            for (id, known) in chunk.into_iter().zip(known) {
                let scored = |scored: ScoredCustomer<'_>| f(Ok(scored));
                let result = match known {
                    Some(known) => request.score_warm(id, &known, &self.histories, scored),
                    None => Err(Error::unknown_customer(&id)),
                };
                results.push(result.unwrap_or_else(|error| f(Err(error))));
                budget.spend(results.len()).await;
            }
        }
    }

    /// Scores customers from the database and stores the scores, so that they can be replayed. Returns
    /// one result an id, in the order asked. Waits for the writes in flight first. A
    /// merged id is scored as the customer that it is merged into.
    ///
    /// # Errors
    /// When the store fails; then nothing is stored.
    pub async fn score_and_store(
        &self,
        ids: Vec<String>,
        request: &ScoreRequest,
    ) -> Result<Vec<Result<Prediction>>> {
        let backfills = self.barrier.backfills().watch();
        self.barrier.wait_for_in_flight().await;
        let ids = self.histories.survivors(ids);
        let mut results = Vec::with_capacity(ids.len());
        let (mut budget, mut unlisted) = (YieldBudget::start(), HashSet::new());
        for chunk in ids.chunks(CHUNK) {
            let histories = self.store.histories(chunk).await?;
            let now = self.clock.now();
            for (id, history) in chunk.iter().zip(histories) {
                let score = |history: &_| {
                    if !request.may_be_listed(history, now) {
                        unlisted.insert(id.clone());
                    }
                    request.score_with(id.clone(), history, into_prediction)
                };
                results.push(match history {
                    Some(history) => history.with(score).map_err(Error::from).flatten(),
                    None => Err(Error::unknown_customer(id)),
                });
                budget.spend(results.len()).await;
            }
        }
        self.store_scores(results, (request, unlisted, self.clock.now()), &backfills).await
    }

    /// Stores the scores among `results`, which answer `request`, and gives each its id; those of `unlisted` customers
    /// are not listed. They are of `score_time`. The score of a customer that was deleted
    /// meanwhile becomes NOT_FOUND. Those of customers that were backfilled meanwhile are marked.
    ///
    /// # Errors
    /// When the store fails; then nothing is stored.
    pub(super) async fn store_scores(
        &self,
        results: Vec<Result<Prediction>>,
        (request, unlisted, score_time): (&ScoreRequest, HashSet<String>, Time),
        backfills: &BackfillWatch,
    ) -> Result<Vec<Result<Prediction>>> {
        let (mut rows, mut refused) = (Vec::with_capacity(results.len()), Vec::with_capacity(results.len()));
        for result in results {
            let result = result.map(|prediction| {
                let prediction_id = Uuid::now_v7().to_string();
                rows.push(Prediction { prediction_id, score_time, ..prediction });
            });
            refused.push(result.err());
        }
        let ended_by = request.model.scorer.artifact().outcome.ended_by();
        let new = Arc::new(NewPredictions { predictions: rows, ended_by, unlisted });
        let stored = match new.predictions.is_empty() {
            true => HashSet::new(),
            false => self.store.insert_predictions(Arc::clone(&new)).await?,
        };
        let mut rows = Arc::unwrap_or_clone(new).predictions;
        self.mark_backfilled(&mut rows, backfills).await?;
        let mut rows = rows.into_iter().map(|prediction| {
            let known = stored.contains(&prediction.customer_id);
            if known { Ok(prediction) } else { Err(Error::unknown_customer(&prediction.customer_id)) }
        });
        Ok(refused.into_iter().filter_map(|refused| refused.map(Err).or_else(|| rows.next())).collect())
    }

    /// Marks the stored predictions of customers that were backfilled while they were scored. It looks after they are
    /// stored: a backfill that begins later finds them itself.
    async fn mark_backfilled(&self, stored: &mut [Prediction], backfills: &BackfillWatch) -> Result<()> {
        let mut marks = Vec::new();
        for prediction in stored {
            prediction.backfill_time = backfills.of(&prediction.customer_id);
            if let Some(time) = prediction.backfill_time {
                let key = (prediction.prediction_id.clone(), prediction.customer_id.clone());
                marks.push((key, time));
            }
        }
        if marks.is_empty() { Ok(()) } else { Ok(self.store.mark_backfilled(marks).await?) }
    }
}
