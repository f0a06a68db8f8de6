//! SQLite, built in: one writing connection, several reading ones; rows in by json_each or, the many
//! interactions, hundreds to a statement; one packed row a customer out by json_group_array.
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
    AssertSqlSafe, Decode, Encode, QueryBuilder, Sqlite as Database, SqlitePool, Type,
    encode::IsNull,
    error::BoxDynError,
    sqlite::{
        SqliteArgumentsBuffer, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
        SqliteTypeInfo, SqliteValueRef,
    },
    types::Json,
};
use tally_model::{
    compare::Pair,
    history::{Attributes, History, Version},
    snapshot::Basis,
    spec::Target,
    time::Time,
};

use super::{
    Change, Customer, Evaluation, Foretold, HoldoutScore, Interaction, NewCustomer, Prediction,
    PredictionCursor, PredictionFilter, PredictionOrder, Promotion, Recorded, ScoredPopulation, StoredModel,
    detached, repeatable,
    rows::{
        Batch, ChangeRow, CustomerChange, CustomerRow, ForetoldRow, InteractionRow, Locked, ModelRow,
        PairRow, PopulationRow, PredictionRow, PromotionRow, Stamp, VersionRow, basis_name, first_seen,
        from_json, grade_name, push_event, reasons_json, to_json,
    },
    sql::{CHANGES, CUSTOMER_COLUMNS, HOLDOUT_ROWS, MODELS, implement_store, note_change, push_filter},
    unique_name,
};
use crate::error::{Error, Result};

type Transaction = sqlx::Transaction<'static, Database>;

/// A locked file is waited for so long, a free connection too.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages that the writing connection keeps, in KiB as SQLite wants them said. A batch touches pages all over
/// the indexes; with the default of 2 MiB they are written and read again within it.
const WRITER_CACHE: &str = "-32768";
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
            .map_err(|error| Error::invalid("database", error.to_string()))?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool =
            |connections| SqlitePoolOptions::new().max_connections(connections).acquire_timeout(PATIENCE);
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

    /// The histories of those of the customers that are known, in one statement: one row a customer.
    async fn histories_of(&self, customer_ids: &[String]) -> Result<HashMap<String, History>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(
            "SELECT c.customer_id, \
             (SELECT json_group_array(json_array(occur_time, record_time, kind, amount_minor, \
                 nullif(properties, '{}')) \
                 ORDER BY occur_time, interaction_id) \
              FROM interactions AS i WHERE i.customer_id = c.customer_id), \
             (SELECT json_group_array(json_array(effective_time, record_time, create_time, attributes) \
                 ORDER BY version) \
              FROM customer_versions AS v WHERE v.customer_id = c.customer_id) \
             FROM customers AS c WHERE c.customer_id IN (SELECT value FROM json_each($1))",
        )
        .bind(Json(customer_ids))
        .fetch_all(self.reader())
        .await?;
        rows.into_iter().map(|(id, events, versions)| Ok((id, unpack(&events, &versions)?))).collect()
    }
}

/// An interaction as packed: times, kind, amount, and the properties, if any, as JSON in a string.
type PackedEvent = (i64, i64, String, Option<i64>, Option<String>);
/// A version as packed: times, and the attributes as JSON in a string.
type PackedVersion = (i64, i64, i64, String);

fn unpack(events: &str, versions: &str) -> Result<History> {
    let mut history = History::default();
    for (occurred, recorded, kind, amount, properties) in from_json::<Vec<PackedEvent>>(events)? {
        let properties = properties.as_deref().map(from_json).transpose()?;
        push_event(&mut history, &kind, (Time(occurred), Time(recorded)), amount, properties);
    }
    for (effective, recorded, created, attributes) in from_json::<Vec<PackedVersion>>(versions)? {
        history.push_version(Version {
            effective_time: Time(effective),
            record_time: Time(recorded),
            create_time: Time(created),
            attributes: from_json::<Attributes>(&attributes)?,
        });
    }
    Ok(history)
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
