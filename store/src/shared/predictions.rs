//! Predictions.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use sqlx::FromRow;
use tally_model::{label::Basis, spec::Target, time::Time};

use super::{
    Backend, Engine, SqlValue, Stamp, Statement, Transaction, names, prediction_filter,
    prediction_rows::{PastPredictionRow, PlacedRow, PredictionRow},
    transaction::{detached, repeatable},
};
use crate::{
    error::{Result, StoreError},
    populations::ScoringRun,
    predictions::{
        ListedPrediction, NewPredictions, PastPrediction, PastPredictionFilter, Prediction, PredictionCursor,
        PredictionFilter, PredictionStore,
    },
};

/// Predictions that are removed at a time.
const REMOVED_ROWS: usize = 1_000;

/// Predictions that are marked at a time; SQLite allows 32,766 values a statement.
const MARKED_ROWS: usize = 4_000;

/// What differs between the databases.
pub(crate) trait PredictionSql: Engine {
    /// Stores predictions of existing customers, and which are the latest ones: of those to be `listed` the ones that no
    /// interaction of the kind `ended_by` has followed.
    fn write_predictions(
        tx: &mut Transaction<Self>,
        new: &[&Prediction],
        listed: &[&Prediction],
        ended_by: Option<&str>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Removes the latest predictions of these customers about moments up to `as_of`.
    fn forget_latest(
        tx: &mut Transaction<Self>,
        of: (Target, Time),
        customer_ids: &[String],
    ) -> impl Future<Output = Result<()>> + Send;
    /// The latest predictions of these customers that an interaction can end.
    fn listed_until_ended(
        tx: &mut Transaction<Self>,
        customer_ids: &[String],
    ) -> impl Future<Output = Result<Vec<ListedRow>>> + Send;
    /// Removes the latest predictions of these customers that an interaction of the kind `ended_by` has followed.
    fn forget_ended(
        tx: &mut Transaction<Self>,
        ended_by: &str,
        customer_ids: &[&str],
    ) -> impl Future<Output = Result<()>> + Send;
}

#[derive(FromRow)]
pub(crate) struct ListedRow {
    customer_id: String,
    target: String,
    model_version: i64,
}

impl TryFrom<ListedRow> for ListedPrediction {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self> {
        let ListedRow { customer_id, target, model_version } = row;
        Ok(Self { customer_id, target: names::target(&target)?, model_version })
    }
}

/// `score_time`, `prediction_id` and `customer_id` of a prediction to be removed.
type ExpiredRow = (Stamp, String, String);

/// The predictions of a target after `after` (time and id) that were stored before `before` and are not the latest,
/// oldest first.
fn select_expired(target: Target, before: Time, after: &(Time, String)) -> Statement {
    Statement::new(
        "SELECT p.score_time, p.prediction_id, p.customer_id FROM predictions AS p \
         LEFT JOIN latest_predictions AS l ON l.customer_id = p.customer_id \
         AND l.target = p.target AND l.prediction_id = p.prediction_id \
         WHERE p.target = $1 AND p.score_time < $2 \
         AND (p.score_time, p.prediction_id) > ($3, $4) AND l.prediction_id IS NULL \
         ORDER BY p.score_time, p.prediction_id LIMIT $5",
    )
    .bind(target.name())
    .bind(before)
    .bind(after.0)
    .bind(after.1.as_str())
    .bind(REMOVED_ROWS as i64)
}

/// Removes the predictions of a run that are not the latest.
pub(super) async fn remove_of_run<B: Backend>(store: &B, run: &ScoringRun) -> Result<()> {
    loop {
        let select = Statement::new(
            "SELECT p.score_time, p.prediction_id, p.customer_id FROM predictions AS p \
             LEFT JOIN latest_predictions AS l ON l.customer_id = p.customer_id \
             AND l.target = p.target AND l.prediction_id = p.prediction_id \
             WHERE p.target = $1 AND p.score_time = $2 AND p.model_version = $3 AND p.as_of_time = $4 \
             AND l.prediction_id IS NULL ORDER BY p.prediction_id LIMIT $5",
        )
        .bind(run.target.name())
        .bind(run.score_time)
        .bind(run.model_version)
        .bind(run.as_of)
        .bind(REMOVED_ROWS as i64);
        let left: Vec<ExpiredRow> = store.read(select).await?;
        if left.is_empty() {
            return Ok(());
        }
        remove(store, left).await?;
    }
}

/// Removes predictions and returns their number.
async fn remove<B: Backend>(store: &B, expired: Vec<ExpiredRow>) -> Result<u64> {
    let mut delete = Statement::new("DELETE FROM predictions WHERE (prediction_id, customer_id) IN (");
    let keys = expired
        .iter()
        .map(|(_, prediction_id, customer_id)| [prediction_id.as_str().into(), customer_id.as_str().into()]);
    delete.push_rows(keys).push(") RETURNING 1");
    let owned = store.clone();
    detached(store, async move {
        let mut tx = owned.begin().await?;
        let removed = B::run::<()>(&mut tx, delete).await?.len();
        tx.commit().await?;
        Ok(removed as u64)
    })
    .await
}

/// Removes latest predictions that were stored beside an interaction that ends them. Neither transaction saw the other;
/// of this look, and of the one that follows the interaction, one comes after both. A database in which one
/// transaction writes at a time needs none.
async fn forget_overtaken<B: Backend>(
    store: &B,
    listed: &[&Prediction],
    ended_by: Option<&str>,
) -> Result<()> {
    let Some(ended_by) = ended_by.filter(|_| !B::WRITES_ALONE && !listed.is_empty()) else { return Ok(()) };
    let ids: Vec<&str> = listed.iter().map(|prediction| prediction.customer_id.as_str()).collect();
    let mut tx = store.begin().await?;
    B::forget_ended(&mut tx, ended_by, &ids).await?;
    Ok(tx.commit().await?)
}

fn select_past(filter: &PastPredictionFilter) -> Statement {
    // CROSS JOIN makes SQLite read customer by customer, where it would rather read all of the target.
    let mut statement = Statement::new(
        "SELECT p.customer_id, p.model_version, p.as_of_time, p.probability \
         FROM customers AS c CROSS JOIN predictions AS p \
         WHERE p.customer_id = c.customer_id AND c.merged_into IS NULL \
         AND c.customer_id > $1 AND c.customer_id <= $2 \
         AND p.target = $3 AND p.as_of_time >= $4 AND p.as_of_time < $5 AND p.basis = $6",
    )
    .bind(filter.after_customer.as_str())
    .bind(filter.last_customer.as_str())
    .bind(filter.target.name())
    .bind(filter.from)
    .bind(filter.to)
    .bind(names::basis_name(Basis::Model));
    if let Some(version) = filter.version {
        statement.push(" AND p.model_version = ").push_bind(version);
    }
    statement.push(" ORDER BY p.customer_id, p.as_of_time, p.score_time, p.prediction_id");
    statement
}

#[async_trait]
impl<B: Backend> PredictionStore for B {
    async fn insert_predictions(&self, new: Arc<NewPredictions>) -> Result<HashSet<String>> {
        repeatable(self, (self.clone(), new), |shared| async move {
            let (store, new) = &*shared;
            let mut tx = store.begin().await?;
            let mut kept: Vec<&Prediction> = new.predictions.iter().collect();
            kept.sort_by_key(|prediction| prediction.customer_id.as_str());
            let ids: Vec<&str> = kept.iter().map(|p| p.customer_id.as_str()).collect();
            let existing: HashSet<String> = B::existing(&mut tx, &ids).await?.into_iter().collect();
            kept.retain(|prediction| existing.contains(&prediction.customer_id));
            let is_listed = |prediction: &&&Prediction| !new.unlisted.contains(&prediction.customer_id);
            let listed: Vec<&Prediction> = kept.iter().filter(is_listed).copied().collect();
            if !kept.is_empty() {
                B::write_predictions(&mut tx, &kept, &listed, new.ended_by).await?;
            }
            tx.commit().await?;
            forget_overtaken(store, &listed, new.ended_by).await?;
            Ok(existing)
        })
        .await
    }

    async fn forget_latest(&self, target: Target, as_of: Time, customer_ids: Vec<String>) -> Result<()> {
        repeatable(self, (self.clone(), customer_ids), move |shared| async move {
            let (store, customer_ids) = &*shared;
            let mut tx = store.begin().await?;
            B::forget_latest(&mut tx, (target, as_of), customer_ids).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn listed_until_ended(&self, customer_ids: &[String]) -> Result<Vec<ListedPrediction>> {
        let (store, ids) = (self.clone(), customer_ids.to_vec());
        let rows = detached(self, async move {
            let mut tx = store.begin().await?;
            let rows = B::listed_until_ended(&mut tx, &ids).await?;
            tx.commit().await?;
            Ok(rows)
        });
        rows.await?.into_iter().map(ListedPrediction::try_from).collect()
    }

    async fn forget_run(&self, target: Target, as_of: Time) -> Result<()> {
        let delete = Statement::new("DELETE FROM latest_predictions WHERE target = $1 AND as_of_time = $2")
            .bind(target.name())
            .bind(as_of);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, delete).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn mark_backfilled(&self, predictions: Vec<((String, String), Time)>) -> Result<()> {
        repeatable(self, (self.clone(), predictions), |shared| async move {
            let (store, predictions) = &*shared;
            let mut tx = store.begin().await?;
            for part in predictions.chunks(MARKED_ROWS) {
                let rows = part.iter().map(|((prediction_id, customer_id), time)| -> [SqlValue; 3] {
                    [prediction_id.as_str().into(), customer_id.as_str().into(), (*time).into()]
                });
                let mut update = Statement::new("UPDATE predictions SET backfill_time = mark.column3 FROM (");
                update.push_rows(rows).push(
                    ") AS mark WHERE prediction_id = mark.column1 AND customer_id = mark.column2 \
                     AND (backfill_time IS NULL OR backfill_time < mark.column3)",
                );
                B::run::<()>(&mut tx, update).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn prediction(&self, prediction_id: &str) -> Result<Option<Prediction>> {
        let select = Statement::new("SELECT * FROM predictions WHERE prediction_id = $1").bind(prediction_id);
        self.read_one::<PredictionRow>(select).await?.map(Prediction::try_from).transpose()
    }

    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<PredictionCursor>,
        limit: usize,
    ) -> Result<Vec<(Prediction, PredictionCursor)>> {
        let select = prediction_filter::select_page(filter, after.as_ref(), limit as i64);
        self.read::<PlacedRow>(select).await?.into_iter().map(|row| row.placed(filter.pass_id)).collect()
    }

    async fn predictions_until(
        &self,
        customer_id: &str,
        until: Time,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        let select = Statement::new(
            "SELECT * FROM predictions WHERE customer_id = $1 AND as_of_time <= $2 \
             ORDER BY as_of_time DESC, score_time DESC, prediction_id DESC LIMIT $3",
        )
        .bind(customer_id)
        .bind(until)
        .bind(limit as i64);
        self.read::<PredictionRow>(select).await?.into_iter().map(Prediction::try_from).collect()
    }

    async fn prediction_times(&self, target: Target, limit: usize) -> Result<Vec<Time>> {
        let mut times: Vec<Time> = Vec::new();
        while times.len() < limit {
            // One step in the index for each moment, however many predictions are about it.
            let last = Statement::new(
                "SELECT max(as_of_time) FROM predictions WHERE target = $1 AND as_of_time < $2",
            )
            .bind(target.name())
            .bind(times.last().copied().unwrap_or(Time::MAX));
            match self.read_one::<(Option<Stamp>,)>(last).await? {
                Some((Some(time),)) => times.push(time.0),
                _ => break,
            }
        }
        Ok(times)
    }

    async fn has_predictions_about(&self, target: Target, as_of: Time) -> Result<bool> {
        let select =
            Statement::new("SELECT 1 FROM predictions WHERE target = $1 AND as_of_time = $2 LIMIT 1")
                .bind(target.name())
                .bind(as_of);
        Ok(!self.read::<()>(select).await?.is_empty())
    }

    async fn count_predictions(&self, filter: &PredictionFilter) -> Result<u64> {
        self.count(prediction_filter::count(filter)).await
    }

    async fn past_predictions(&self, filter: PastPredictionFilter) -> Result<Vec<PastPrediction>> {
        let rows = self.read::<PastPredictionRow>(select_past(&filter)).await?;
        Ok(rows.into_iter().map(PastPrediction::from).collect())
    }

    async fn remove_predictions(&self, before: Time) -> Result<u64> {
        let mut removed = 0;
        for target in Target::ALL {
            let mut after = (Time(0), String::new());
            loop {
                let expired: Vec<ExpiredRow> = self.read(select_expired(target, before, &after)).await?;
                let Some((time, id, _)) = expired.last() else { break };
                after = (time.0, id.clone());
                removed += remove(self, expired).await?;
            }
        }
        Ok(removed)
    }
}
