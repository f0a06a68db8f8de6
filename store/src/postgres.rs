//! PostgreSQL (and Citus): arrays in by UNNEST, many rows by COPY; histories out packed, or as arrays by
//! array_agg.

use std::{
    collections::{HashMap, HashSet},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use sqlx::{
    AssertSqlSafe, Connection, Decode, Encode, PgConnection, PgExecutor, PgPool, Postgres as Database,
    QueryBuilder, Row, Type, ValueRef,
    encode::IsNull,
    error::BoxDynError,
    postgres::{
        PgArgumentBuffer, PgConnectOptions, PgHasArrayType, PgPoolOptions, PgRow, PgTypeInfo, PgValueFormat,
        PgValueRef, types::Oid,
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
    binary::{self, elements},
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

/// A connection is waited for so long.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Customers that are packed at the same time.
const PACKERS: usize = 4;
/// Fewer rows are not worth the round trips of a COPY.
const COPY_ROWS: usize = 100;

/// What interactions are read in order by: each sort has an index of its own.
const SORTS: [&str; 2] = ["NOT long", "long"];
/// Statements that read histories at the same time, at most.
const HISTORY_READERS: u32 = 4;
/// A connection that has answered within this time is not tried again before it is used.
const TRUSTED: Duration = Duration::from_secs(1);

/// The statement that reads histories, one row a customer: `$which` says of the customer `c` which they are, and
/// `$own` is what its rows elsewhere have as `customer_id`.
macro_rules! histories {
    ($which:literal, $own:literal) => {
        concat!(
            "SELECT c.customer_id, e.occurred, e.recorded, e.kinds, e.amounts, e.properties, \
             v.effective, v.version_recorded, v.created, v.attributes \
             FROM customers AS c \
             LEFT JOIN LATERAL ( \
                 SELECT array_agg(occur_time) AS occurred, array_agg(record_time) AS recorded, \
                 array_agg(kind) AS kinds, array_agg(amount_minor) AS amounts, \
                 array_agg(properties) AS properties \
                 FROM ((SELECT occur_time, interaction_id, record_time, kind, amount_minor, properties \
                        FROM interactions AS i WHERE i.customer_id = ", $own, " AND NOT i.long \
                        ORDER BY occur_time, interaction_id) \
                       UNION ALL \
                       (SELECT occur_time, interaction_id, record_time, kind, amount_minor, properties \
                        FROM interactions AS i WHERE i.customer_id = ", $own, " AND i.long \
                        ORDER BY occur_time, interaction_id) \
                       ORDER BY occur_time, interaction_id) AS ordered \
             ) AS e ON true \
             LEFT JOIN LATERAL ( \
                 SELECT array_agg(effective_time) AS effective, array_agg(record_time) AS version_recorded, \
                 array_agg(create_time) AS created, array_agg(attributes) AS attributes \
                 FROM (SELECT * FROM customer_versions AS v WHERE v.customer_id = ", $own, " \
                       ORDER BY v.version) AS ordered \
             ) AS v ON true \
             WHERE c.customer_id ",
            $which
        )
    };
}

/// The store on PostgreSQL.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: PgPool,
    /// Reads histories, on few connections: to plan the statement takes longer than to read a customer, and
    /// each connection plans for itself.
    histories: PgPool,
    /// Tells our own changes from those of others.
    name: Arc<str>,
}

impl Postgres {
    pub(super) async fn open(url: &str) -> Result<Self> {
        // The driver's text could repeat the password that stands in the URL.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| {
                StoreError::InvalidUrl("allowed is postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned())
            })?
            .application_name("tally");
        let pool = PgPoolOptions::new().max_connections(12).acquire_timeout(ACQUIRE);
        let pool = pool.connect_with(options.clone()).await?;
        let histories = PgPoolOptions::new()
            .max_connections(HISTORY_READERS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        // One migrator at a time, by an advisory lock; the others wait and find nothing left to do.
        sqlx::migrate!("../migrations/postgres").run(&pool).await?;
        Ok(Self { pool, histories, name: unique_name() })
    }

    const fn reader(&self) -> &PgPool {
        &self.pool
    }

    async fn begin(&self) -> Result<Transaction> {
        Ok(self.pool.begin().await?)
    }

    async fn lock_customers(
        &self,
        tx: &mut Transaction,
        customers: &[NewCustomer],
        now: Time,
    ) -> Result<Vec<Locked>> {
        Ok(sqlx::query_as(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT customer_id, '', $2, true, 0 FROM UNNEST($1::text[]) AS new (customer_id) \
             ON CONFLICT (customer_id) DO UPDATE SET revision = customers.revision + 1 \
             RETURNING customer_id, name, create_time, revision",
        )
        .bind(customers.iter().map(|customer| customer.customer_id.as_str()).collect::<Vec<_>>())
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
            "SELECT DISTINCT ON (customer_id) customer_id, version, create_time, attributes \
             FROM customer_versions WHERE customer_id = ANY($1) ORDER BY customer_id, version DESC",
        )
        .bind(customers.iter().map(|customer| customer.customer_id.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn write_changes(&self, tx: &mut Transaction, changes: &[CustomerChange]) -> Result<()> {
        sqlx::query(
            "UPDATE customers AS c SET name = new.name, create_time = new.create_time, stated = true \
             FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS new (customer_id, name, create_time) \
             WHERE c.customer_id = new.customer_id",
        )
        .bind(changes.iter().map(|change| change.customer_id.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| Stamp(change.create_time)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        let new: Vec<_> =
            changes.iter().filter_map(|change| change.version.map(|version| (change, version))).collect();
        sqlx::query(
            "INSERT INTO customer_versions \
             (customer_id, version, effective_time, record_time, create_time, attributes) \
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], \
             $5::timestamptz[], $6::text[]::json[])",
        )
        .bind(new.iter().map(|(change, _)| change.customer_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|(_, (version, ..))| *version).collect::<Vec<_>>())
        .bind(new.iter().map(|(_, (_, effective, _))| Stamp(*effective)).collect::<Vec<_>>())
        .bind(new.iter().map(|(_, (.., record))| Stamp(*record)).collect::<Vec<_>>())
        .bind(new.iter().map(|(change, _)| Stamp(change.create_time)).collect::<Vec<_>>())
        .bind(new.iter().map(|(change, _)| to_json(&change.attributes)).collect::<Result<Vec<_>>>()?)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn create_customers(&self, tx: &mut Transaction, first_seen: &[(&str, Time)]) -> Result<()> {
        // The upsert locks every row that it meets. Most batches have nothing new to say of their
        // customers: those are left alone, so that writers of the same customers go side by side. Should
        // one be erased meanwhile, the foreign key of its interactions fails, and the batch is repeated.
        let known: Vec<(String, Stamp, bool)> = sqlx::query_as(
            "SELECT customer_id, create_time, stated FROM customers WHERE customer_id = ANY($1)",
        )
        .bind(first_seen.iter().map(|(customer_id, _)| *customer_id).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
        let known: HashMap<&str, (Time, bool)> =
            known.iter().map(|(id, create_time, stated)| (id.as_str(), (create_time.0, *stated))).collect();
        let is_news = |(id, time): &&(&str, Time)| {
            known.get(id).is_none_or(|(create_time, stated)| !stated && create_time > time)
        };
        let news: Vec<_> = first_seen.iter().filter(is_news).collect();
        if news.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT customer_id, '', create_time, false, 0 \
             FROM UNNEST($1::text[], $2::timestamptz[]) AS new (customer_id, create_time) \
             ON CONFLICT (customer_id) DO UPDATE SET create_time = excluded.create_time \
             WHERE NOT customers.stated AND customers.create_time > excluded.create_time",
        )
        .bind(news.iter().map(|(customer_id, _)| *customer_id).collect::<Vec<_>>())
        .bind(news.iter().map(|(_, time)| Stamp(*time)).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Stores those that are new, and tells how many they were.
    async fn insert_interactions(&self, tx: &mut Transaction, items: &[Interaction]) -> Result<usize> {
        if items.len() >= COPY_ROWS {
            // COPY is much the fastest, but knows no ON CONFLICT: it is tried in the hope that nothing
            // of the batch is there already. Databases report that in several ways: whatever was the
            // matter, the statement below meets it again.
            let mut attempt = tx.begin().await?;
            match copy_interactions(&mut attempt, items).await {
                Ok(()) => {
                    attempt.commit().await?;
                    return Ok(items.len());
                }
                Err(_) => attempt.rollback().await?,
            }
        }
        let inserted = sqlx::query(
            "INSERT INTO interactions (customer_id, interaction_id, kind, occur_time, record_time, \
             amount_minor, channel, properties) \
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], \
             $5::timestamptz[], $6::bigint[], $7::text[], $8::text[]::json[]) \
             ON CONFLICT (customer_id, interaction_id) DO NOTHING RETURNING 1",
        )
        .bind(items.iter().map(|item| item.customer_id.as_str()).collect::<Vec<_>>())
        .bind(items.iter().map(|item| item.interaction_id.as_str()).collect::<Vec<_>>())
        .bind(items.iter().map(|item| item.kind.as_str()).collect::<Vec<_>>())
        .bind(items.iter().map(|item| Stamp(item.occur_time)).collect::<Vec<_>>())
        .bind(items.iter().map(|item| Stamp(item.record_time)).collect::<Vec<_>>())
        .bind(items.iter().map(|item| item.amount_minor).collect::<Vec<_>>())
        .bind(items.iter().map(|item| item.channel.as_str()).collect::<Vec<_>>())
        .bind(items.iter().map(|item| to_json(&item.properties)).collect::<Result<Vec<_>>>()?)
        .fetch_all(&mut **tx)
        .await?;
        Ok(inserted.len())
    }

    async fn stored_interactions(
        &self,
        tx: &mut Transaction,
        keys: &[(&str, &str)],
    ) -> Result<Vec<InteractionRow>> {
        Ok(sqlx::query_as(
            "SELECT i.* FROM UNNEST($1::text[], $2::text[]) AS asked (customer_id, interaction_id) \
             JOIN interactions AS i ON i.customer_id = asked.customer_id \
             AND i.interaction_id = asked.interaction_id",
        )
        .bind(keys.iter().map(|(customer_id, _)| *customer_id).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, interaction_id)| *interaction_id).collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn present(&self, tx: &mut Transaction, ids: &[&str]) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT customer_id FROM customers WHERE customer_id = ANY($1)")
            .bind(ids)
            .fetch_all(&mut **tx)
            .await?)
    }

    async fn write_predictions(&self, tx: &mut Transaction, new: &[&Prediction]) -> Result<()> {
        if new.len() >= COPY_ROWS {
            copy_predictions(tx, new).await?;
        } else {
            self.insert_few_predictions(tx, new).await?;
        }
        // A batch may hold a customer twice; only one row a key may reach the upsert.
        sqlx::query(
            "INSERT INTO latest_predictions (customer_id, target, prediction_id, as_of_time, score_time, probability) \
             SELECT DISTINCT ON (customer_id, target) * \
             FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::float8[]) \
             AS new (customer_id, target, prediction_id, as_of_time, score_time, probability) \
             ORDER BY customer_id, target, as_of_time DESC, score_time DESC, prediction_id DESC \
             ON CONFLICT (customer_id, target) DO UPDATE \
             SET prediction_id = excluded.prediction_id, as_of_time = excluded.as_of_time, \
             score_time = excluded.score_time, probability = excluded.probability \
             WHERE (excluded.as_of_time, excluded.score_time) >= \
             (latest_predictions.as_of_time, latest_predictions.score_time)",
        )
        .bind(new.iter().map(|p| p.customer_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.target.name()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.prediction_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| Stamp(p.as_of)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| Stamp(p.score_time)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.probability).collect::<Vec<_>>())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn insert_few_predictions(&self, tx: &mut Transaction, new: &[&Prediction]) -> Result<()> {
        sqlx::query(
            "INSERT INTO predictions (prediction_id, customer_id, target, model_version, as_of_time, \
             known_time, score_time, horizon_days, probability, lower, upper, grade, basis, base_log_odds, \
             reasons, missing_features) \
             SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], \
             $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::float8[], $10::float8[], $11::float8[], \
             $12::text[], $13::text[], $14::float8[], $15::text[]::json[], $16::text[]::json[])",
        )
        .bind(new.iter().map(|p| p.prediction_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.customer_id.as_str()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.target.name()).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.model_version).collect::<Vec<_>>())
        .bind(new.iter().map(|p| Stamp(p.as_of)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| Stamp(p.known_at)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| Stamp(p.score_time)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| i64::from(p.horizon_days)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.probability).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.lower).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.upper).collect::<Vec<_>>())
        .bind(new.iter().map(|p| grade_name(p.grade)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| basis_name(p.basis)).collect::<Vec<_>>())
        .bind(new.iter().map(|p| p.base_log_odds).collect::<Vec<_>>())
        .bind(new.iter().map(|p| to_json(&reasons_json(p))).collect::<Result<Vec<_>>>()?)
        .bind(new.iter().map(|p| to_json(&p.missing_features)).collect::<Result<Vec<_>>>()?)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    const fn history_reader(&self) -> &PgPool {
        &self.histories
    }

    /// What is stored packed of these customers.
    async fn packed_of(&self, customer_ids: &[String]) -> Result<HashMap<String, Packed>> {
        // As for rows: Citus sees that only one worker is concerned.
        let query = match customer_ids {
            [one] => sqlx::query(
                "SELECT customer_id, history FROM packed_histories WHERE customer_id = $1 AND format = $2",
            )
            .bind(one),
            several => sqlx::query(
                "SELECT customer_id, history FROM packed_histories WHERE customer_id = ANY($1) AND format = $2",
            )
            .bind(several),
        };
        let rows = query.bind(Packed::FORMAT).fetch_all(self.history_reader()).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, Packed::from_bytes(row.try_get(1)?)))).collect()
    }

    /// The histories of those of the customers that are known, made from their rows in one statement: one row a
    /// customer.
    async fn rows_of(
        executor: impl PgExecutor<'_>,
        customer_ids: &[String],
    ) -> Result<HashMap<String, History>> {
        // The statement for one is soon planned once a connection, where PostgreSQL finds several worth a plan
        // each time; and Citus sees that only one worker is concerned.
        let query = match customer_ids {
            [one] => sqlx::query(histories!("= $1", "$1")).bind(one),
            several => sqlx::query(histories!("= ANY($1)", "c.customer_id")).bind(several),
        };
        query.fetch_all(executor).await?.iter().map(unpack).collect()
    }

    async fn forget_packed(&self, tx: &mut Transaction, customer_ids: &[&str]) -> Result<()> {
        sqlx::query("DELETE FROM packed_histories WHERE customer_id = ANY($1)")
            .bind(customer_ids)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Each in a transaction of its own, which keeps a customer's writers waiting no longer than need be.
    async fn pack_some(&self, customer_ids: Vec<String>) -> Result<usize> {
        let packs = customer_ids.into_iter().map(|id| detached(pack_one(self.pool.clone(), id)));
        let done: Vec<Result<bool>> = stream::iter(packs).buffer_unordered(PACKERS).collect().await;
        done.into_iter().try_fold(0, |packed, one| Ok(packed + usize::from(one?)))
    }
}

/// Packs a customer's history unless somebody else holds the customer; false then, and when it is gone.
async fn pack_one(pool: PgPool, customer_id: String) -> Result<bool> {
    // Each statement must see what was committed before it, whatever the default of the database is.
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    // What a crash loses is packed again.
    sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
    // This keeps writers of the customer's rows out, whose foreign keys lock it, and waits for none of them.
    let free: Option<(String,)> =
        sqlx::query_as("SELECT customer_id FROM customers WHERE customer_id = $1 FOR UPDATE SKIP LOCKED")
            .bind(&customer_id)
            .fetch_optional(&mut *tx)
            .await?;
    if free.is_none() {
        return Ok(false);
    }
    let histories = Postgres::rows_of(&mut *tx, std::slice::from_ref(&customer_id)).await?;
    let Some(history) = histories.get(&customer_id) else { return Ok(false) };
    sqlx::query(PACK)
        .bind(&customer_id)
        .bind(Packed::FORMAT)
        .bind(history.pack().as_bytes())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// A history of aligned arrays, NULL when there is nothing.
fn unpack(row: &PgRow) -> Result<(String, History)> {
    let mut columns = [None; 10];
    for (n, column) in columns.iter_mut().enumerate() {
        let value = row.try_get_raw(n)?;
        *column = if value.is_null() { None } else { Some(value.as_bytes().map_err(sqlx::Error::Decode)?) };
    }
    let [id, rest @ ..] = columns;
    let [occurred, recorded, kinds, amounts, properties, effective, known, created, attributes] =
        rest.map(|column| elements(column.unwrap_or_default()));
    let mut history = History::default();
    let values = occurred.zip(recorded).zip(kinds).zip(amounts).zip(properties);
    for ((((occurred, recorded), kind), amount), properties) in values {
        push_fields(&mut history, [occurred, recorded, kind, amount, properties])?;
    }
    for (((effective, known), created), attributes) in effective.zip(known).zip(created).zip(attributes) {
        push_version(&mut history, [effective, known, created, attributes])?;
    }
    Ok((binary::text(id.unwrap_or_default())?.to_owned(), history))
}

/// Adds an interaction as it travels: times, kind, amount and properties.
fn push_fields(history: &mut History, fields: [Option<&[u8]>; 5]) -> Result<()> {
    let [Some(occurred), Some(recorded), Some(kind), amount, properties] = fields else {
        return Err(StoreError::Internal("an interaction without time or kind".to_owned()));
    };
    let times = (binary::time(occurred)?, binary::time(recorded)?);
    let properties = properties.map(binary::text).transpose()?;
    push_event(history, binary::text(kind)?, times, amount.map(binary::int).transpose()?, properties)
}

/// Adds a version as it travels: times and attributes; nothing when there is none.
fn push_version(history: &mut History, fields: [Option<&[u8]>; 4]) -> Result<()> {
    if let [Some(effective), Some(recorded), Some(created), Some(attributes)] = fields {
        history.push_version(Version {
            effective_time: binary::time(effective)?,
            record_time: binary::time(recorded)?,
            create_time: binary::time(created)?,
            attributes: from_json(binary::text(attributes)?)?,
        });
    }
    Ok(())
}

implement_store!(Postgres, Database);

/// Stores interactions of which none is there.
async fn copy_interactions(connection: &mut PgConnection, items: &[Interaction]) -> Result<()> {
    let statement = "COPY interactions (customer_id, interaction_id, kind, occur_time, record_time, \
                     amount_minor, channel, properties) FROM STDIN (FORMAT binary)";
    binary::copy_in(connection, statement, items, |rows, item| {
        rows.row(8);
        rows.text(&item.customer_id);
        rows.text(&item.interaction_id);
        rows.text(&item.kind);
        rows.time(item.occur_time);
        rows.time(item.record_time);
        match item.amount_minor {
            Some(amount) => rows.int(amount),
            None => rows.null(),
        }
        rows.text(&item.channel);
        rows.json(&item.properties)
    })
    .await
}

/// Stores predictions.
async fn copy_predictions(connection: &mut PgConnection, new: &[&Prediction]) -> Result<()> {
    let statement = "COPY predictions (prediction_id, customer_id, target, model_version, as_of_time, \
                     known_time, score_time, horizon_days, probability, lower, upper, grade, basis, \
                     base_log_odds, reasons, missing_features) FROM STDIN (FORMAT binary)";
    binary::copy_in(connection, statement, new, |rows, p| {
        rows.row(16);
        rows.text(&p.prediction_id);
        rows.text(&p.customer_id);
        rows.text(p.target.name());
        rows.int(p.model_version);
        rows.time(p.as_of);
        rows.time(p.known_at);
        rows.time(p.score_time);
        rows.int(i64::from(p.horizon_days));
        rows.float(p.probability);
        rows.float(p.lower);
        rows.float(p.upper);
        rows.text(grade_name(p.grade));
        rows.text(basis_name(p.basis));
        rows.float(p.base_log_odds);
        rows.json(&reasons_json(p))?;
        rows.json(&p.missing_features)
    })
    .await
}

/// The type number of TIMESTAMPTZ, and of its arrays.
const TIMESTAMPTZ: Oid = Oid(1184);
const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);

impl Type<Database> for Stamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ)
    }
}

impl PgHasArrayType for Stamp {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(TIMESTAMPTZ_ARRAY)
    }
}

impl Encode<'_, Database> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&binary::micros(self.0));
        Ok(IsNull::No)
    }
}

impl Decode<'_, Database> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a moment came as text".into());
        }
        Ok(Self(binary::time(value.as_bytes()?)?))
    }
}
