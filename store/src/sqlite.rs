//! SQLite, built in: one writing connection, several reading ones; rows in by json_each or, the many
//! interactions, hundreds to a statement; histories out packed, or in one row by group_concat.
//!
//! Floating point numbers never pass through SQLite's own number parser: attributes stay the text
//! that serde wrote, probabilities are bound as such.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, Decode, Encode, QueryBuilder, Row, Sqlite as Database, SqlitePool, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{
        SqliteArgumentsBuffer, SqliteConnectOptions, SqliteExecutor, SqliteJournalMode, SqlitePoolOptions,
        SqliteSynchronous, SqliteTypeInfo, SqliteValueRef,
    },
    types::Json,
};
use tally_model::{
    history::{History, Packed, Version},
    spec::Target,
    time::Time,
    training::compare::Pair,
    training::snapshot::Basis,
};

use super::{
    Change, Customer, Evaluation, HoldoutScore, Interaction, NewCustomer, PastPrediction, Prediction,
    PredictionCursor, PredictionFilter, PredictionOrder, Promotion, Recorded, ScoredPopulation, StoredModel,
    detached, repeatable,
    rows::{
        Batch, ChangeRow, CustomerChange, CustomerRow, InteractionRow, Locked, ModelRow, PairRow,
        PastPredictionRow, PopulationRow, PredictionRow, PromotionRow, Stamp, VersionRow, basis_name,
        first_seen, from_json, grade_name, push_event, reasons_json, to_json,
    },
    sql::{
        CHANGES, CUSTOMER_COLUMNS, HOLDOUT_ROWS, MODELS, PACK, REMOVED_ROWS, implement_store, note_change,
        push_filter,
    },
    unique_name,
};
use crate::error::{Result, StoreError};

type Transaction = sqlx::Transaction<'static, Database>;

/// A locked file is waited for so long, a free connection too.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages that the writing connection keeps, in KiB as SQLite wants them said. A batch touches pages all over
/// the indexes; with the default of 2 MiB they are written and read again within it.
const WRITER_CACHE: &str = "-32768";
/// What interactions are read in order by: the table.
const SORTS: [&str; 1] = ["true"];
/// Rows of a statement with bound values; SQLite allows 32,766 of those.
const BOUND_ROWS: usize = 500;

/// The store in a SQLite file.
#[derive(Clone)]
pub(super) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    /// Tells our own changes from those of others.
    name: Arc<str>,
}

impl Sqlite {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| StoreError::InvalidUrl(error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool =
            // A connection to a file does not break off: there is no need to try it each time.
            |connections| {
                let pool = SqlitePoolOptions::new().max_connections(connections);
                pool.acquire_timeout(PATIENCE).test_before_acquire(false)
            };
        let writer = pool(1).connect_with(options.clone().pragma("cache_size", WRITER_CACHE)).await?;
        // All migrations in one writing transaction: whole or not at all, and a second program waits.
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::migrate!("../migrations/sqlite").run(&mut *tx).await?;
        tx.commit().await?;
        Ok(Self { writer, readers: pool(4).connect_with(options).await?, name: unique_name() })
    }

    const fn reader(&self) -> &SqlitePool {
        &self.readers
    }

    async fn begin(&self) -> Result<Transaction> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    async fn lock_customers(
        &self,
        tx: &mut Transaction,
        customers: &[NewCustomer],
        now: Time,
    ) -> Result<Vec<Locked>> {
        Ok(sqlx::query_as(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT value, '', $2, true, 0 FROM json_each($1) WHERE true \
             ON CONFLICT (customer_id) DO UPDATE SET revision = customers.revision + 1 \
             RETURNING customer_id, name, create_time, revision",
        )
        .bind(Json(customers.iter().map(|customer| customer.customer_id.as_str()).collect::<Vec<_>>()))
        .bind(Stamp(now))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn latest_versions(
        &self,
        tx: &mut Transaction,
        customers: &[NewCustomer],
    ) -> Result<Vec<VersionRow>> {
        Ok(sqlx::query_as(
            "SELECT v.customer_id, v.version, v.create_time, v.attributes \
             FROM json_each($1) AS asked JOIN customer_versions AS v ON v.customer_id = asked.value \
             AND v.version = (SELECT max(version) FROM customer_versions WHERE customer_id = asked.value)",
        )
        .bind(Json(customers.iter().map(|customer| customer.customer_id.as_str()).collect::<Vec<_>>()))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn write_changes(&self, tx: &mut Transaction, changes: &[CustomerChange]) -> Result<()> {
        let rows: Vec<_> =
            changes.iter().map(|change| (&change.customer_id, &change.name, change.create_time)).collect();
        sqlx::query(
            "UPDATE customers SET name = new.value ->> 1, create_time = new.value ->> 2, stated = true \
             FROM json_each($1) AS new WHERE customers.customer_id = new.value ->> 0",
        )
        .bind(Json(rows))
        .execute(&mut **tx)
        .await?;
        let mut versions = Vec::new();
        for change in changes {
            if let Some((version, effective, record)) = change.version {
                let attributes = to_json(&change.attributes)?;
                versions.push((
                    &change.customer_id,
                    version,
                    effective,
                    record,
                    change.create_time,
                    attributes,
                ));
            }
        }
        sqlx::query(
            "INSERT INTO customer_versions \
             (customer_id, version, effective_time, record_time, create_time, attributes) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each($1)",
        )
        .bind(Json(versions))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn create_customers(&self, tx: &mut Transaction, first_seen: &[(&str, Time)]) -> Result<()> {
        sqlx::query(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT value ->> 0, '', value ->> 1, false, 0 FROM json_each($1) WHERE true \
             ON CONFLICT (customer_id) DO UPDATE SET create_time = excluded.create_time \
             WHERE NOT customers.stated AND customers.create_time > excluded.create_time",
        )
        .bind(Json(first_seen))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Stores those that are new, and tells how many they were.
    async fn insert_interactions(&self, tx: &mut Transaction, items: &[Interaction]) -> Result<usize> {
        let mut inserted = 0;
        for part in items.chunks(BOUND_ROWS) {
            let mut query = QueryBuilder::<Database>::new(
                "INSERT INTO interactions (customer_id, interaction_id, kind, occur_time, record_time, \
                 amount_minor, channel, properties) ",
            );
            query.push_values(part, |mut row, item| {
                row.push_bind(&item.customer_id).push_bind(&item.interaction_id).push_bind(&item.kind);
                row.push_bind(Stamp(item.occur_time)).push_bind(Stamp(item.record_time));
                row.push_bind(item.amount_minor).push_bind(&item.channel).push_bind(Json(&item.properties));
            });
            query.push(" ON CONFLICT (customer_id, interaction_id) DO NOTHING");
            // Only the statement of a full part comes again. SQLite's count is exact, and RETURNING
            // would cost half as much again as the insert.
            let query = query.build().persistent(part.len() == BOUND_ROWS);
            inserted += query.execute(&mut **tx).await?.rows_affected() as usize;
        }
        Ok(inserted)
    }

    async fn stored_interactions(
        &self,
        tx: &mut Transaction,
        keys: &[(&str, &str)],
    ) -> Result<Vec<InteractionRow>> {
        Ok(sqlx::query_as(
            "SELECT i.* FROM json_each($1) AS asked JOIN interactions AS i \
             ON i.customer_id = asked.value ->> 0 AND i.interaction_id = asked.value ->> 1",
        )
        .bind(Json(keys))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn present(&self, tx: &mut Transaction, ids: &[&str]) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT customer_id FROM customers WHERE customer_id IN (SELECT value FROM json_each($1))",
        )
        .bind(Json(ids))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn write_predictions(&self, tx: &mut Transaction, new: &[&Prediction]) -> Result<()> {
        for part in new.chunks(BOUND_ROWS) {
            let mut query = QueryBuilder::<Database>::new(
                "INSERT INTO predictions (prediction_id, customer_id, target, model_version, as_of_time, \
                 known_time, score_time, horizon_days, probability, lower, upper, grade, basis, \
                 base_log_odds, reasons, missing_features) ",
            );
            query.push_values(part, |mut row, p| {
                row.push_bind(&p.prediction_id).push_bind(&p.customer_id).push_bind(p.target.name());
                row.push_bind(p.model_version).push_bind(Stamp(p.as_of)).push_bind(Stamp(p.known_at));
                row.push_bind(Stamp(p.score_time)).push_bind(i64::from(p.horizon_days));
                row.push_bind(p.probability).push_bind(p.lower).push_bind(p.upper);
                row.push_bind(grade_name(p.grade)).push_bind(basis_name(p.basis)).push_bind(p.base_log_odds);
                row.push_bind(reasons_json(p)).push_bind(Json(&p.missing_features));
            });
            query.build().execute(&mut **tx).await?;
            let ids: Vec<_> = part.iter().map(|p| (&p.customer_id, &p.prediction_id)).collect();
            sqlx::query(
                "INSERT INTO latest_predictions \
                 (customer_id, target, prediction_id, as_of_time, score_time, probability) \
                 SELECT p.customer_id, p.target, p.prediction_id, p.as_of_time, p.score_time, p.probability \
                 FROM json_each($1) AS new JOIN predictions AS p \
                 ON p.customer_id = new.value ->> 0 AND p.prediction_id = new.value ->> 1 WHERE true \
                 ON CONFLICT (customer_id, target) DO UPDATE \
                 SET prediction_id = excluded.prediction_id, as_of_time = excluded.as_of_time, \
                 score_time = excluded.score_time, probability = excluded.probability \
                 WHERE (excluded.as_of_time, excluded.score_time) >= \
                 (latest_predictions.as_of_time, latest_predictions.score_time)",
            )
            .bind(Json(ids))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }

    const fn history_reader(&self) -> &SqlitePool {
        &self.readers
    }

    /// What is stored packed of these customers.
    async fn packed_of(&self, customer_ids: &[String]) -> Result<HashMap<String, Packed>> {
        let rows = sqlx::query(
            "SELECT p.customer_id, p.history FROM json_each($1) AS asked \
             CROSS JOIN packed_histories AS p ON p.customer_id = asked.value WHERE p.format = $2",
        )
        .bind(Json(customer_ids))
        .bind(Packed::FORMAT)
        .fetch_all(self.history_reader())
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, Packed::from_bytes(row.try_get(1)?)))).collect()
    }

    /// The histories of those of the customers that are known, made from their rows: in one statement, and in
    /// one row, since each row wakes a thread.
    async fn rows_of(
        executor: impl SqliteExecutor<'_>,
        customer_ids: &[String],
    ) -> Result<HashMap<String, History>> {
        let together: Option<String> =
            sqlx::query_scalar(HISTORIES).bind(Json(customer_ids)).fetch_one(executor).await?;
        let customers = together.iter().flat_map(|together| together.split('\x1e'));
        let parts = customers.map(|customer| {
            let mut parts = customer.split('\x1d');
            parts.next().zip(parts.next()).zip(parts.next())
        });
        parts
            .map(|parts| {
                let ((id, events), versions) =
                    parts.ok_or_else(|| StoreError::Internal("a row of a customer is short".to_owned()))?;
                Ok((id.to_owned(), history(events, versions)?))
            })
            .collect()
    }

    async fn forget_packed(&self, tx: &mut Transaction, customer_ids: &[&str]) -> Result<()> {
        sqlx::query("DELETE FROM packed_histories WHERE customer_id IN (SELECT value FROM json_each($1))")
            .bind(Json(customer_ids))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// In one transaction: as long as it lasts, nobody else writes.
    async fn pack_some(&self, customer_ids: Vec<String>) -> Result<usize> {
        let store = self.clone();
        detached(async move {
            let mut tx = store.begin().await?;
            let histories = Self::rows_of(&mut *tx, &customer_ids).await?;
            for (customer_id, history) in &histories {
                sqlx::query(PACK)
                    .bind(customer_id)
                    .bind(Packed::FORMAT)
                    .bind(history.pack().as_bytes())
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(histories.len())
        })
        .await
    }
}

/// The histories of the customers in $1, in that order and in one row: of each its id, a line for each of its
/// interactions in order, and one for each version. The fields of a line are separated by tabs, the parts of a
/// customer by U+001D, and customers by U+001E. None of them stands in an id or a kind, where control characters
/// are not allowed, nor in JSON, where they are escaped.
const HISTORIES: &str = "SELECT group_concat(concat(customer_id, char(29), events, char(29), versions), char(30)) \
    FROM (SELECT c.customer_id, \
          (SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', \
                                      properties), '\n') \
           FROM (SELECT occur_time, record_time, kind, amount_minor, nullif(properties, '{}') AS properties \
                 FROM interactions AS i WHERE i.customer_id = c.customer_id \
                 ORDER BY i.occur_time, i.interaction_id)) AS events, \
          (SELECT group_concat(concat(effective_time, '\t', record_time, '\t', create_time, '\t', attributes), '\n') \
           FROM (SELECT * FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
                 ORDER BY version)) AS versions \
          FROM json_each($1) AS asked CROSS JOIN customers AS c ON c.customer_id = asked.value)";

fn history(events: &str, versions: &str) -> Result<History> {
    let short = || StoreError::Internal("a packed row is short".to_owned());
    let mut history = History::default();
    for line in events.split_terminator('\n') {
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or_else(short);
        let (occurred, recorded, amount, kind, json) = (next()?, next()?, next()?, next()?, next()?);
        let times = (Time(number(occurred)?), Time(number(recorded)?));
        let amount = if amount.is_empty() { None } else { Some(number(amount)?) };
        push_event(&mut history, kind, times, amount, Some(json).filter(|json| !json.is_empty()))?;
    }
    for line in versions.split_terminator('\n') {
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or_else(short);
        history.push_version(Version {
            effective_time: Time(number(next()?)?),
            record_time: Time(number(next()?)?),
            create_time: Time(number(next()?)?),
            attributes: from_json(next()?)?,
        });
    }
    Ok(history)
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| StoreError::Internal("a packed number cannot be read".to_owned()))
}

implement_store!(Sqlite, Database);

impl Type<Database> for Stamp {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Database>>::type_info()
    }

    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Database>>::compatible(ty)
    }
}

impl Encode<'_, Database> for Stamp {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<'_, Database>>::encode_by_ref(&self.0.0, buffer)
    }
}

impl<'r> Decode<'r, Database> for Stamp {
    fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(Time(<i64 as Decode<'r, Database>>::decode(value)?)))
    }
}
