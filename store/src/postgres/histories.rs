//! Histories: packed, or each customer's rows as arrays.

use std::{collections::HashMap, slice};

use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::{Connection, PgConnection, Row, ValueRef, postgres::PgRow};
use tally_model::history::{History, Packed, Version};

use super::{
    Postgres,
    binary::{self, elements},
    connections::acquire,
    keeps_statements,
};
use crate::{
    error::{Result, StoreError},
    shared::{
        Engine, Reader, Transaction, compute, detached,
        histories::{
            HistorySql, HistoryWriter, RawEvent, RetractedEvent, StoredHistory, insert_packed, most_events,
        },
        json::from_json,
        merges::{MergedId, merged_ids, united_histories},
    },
};

/// Customers that are packed at the same time.
const PACKERS: usize = 4;

/// The statement that reads histories, one row a customer, with its first $2 interactions: `$which` selects customers `c`,
/// and `$own` is the `customer_id` of its rows in other tables.
///
/// The ranks of retracted interactions are counted in one pass over them and all others of their moments, not by a count for
/// each, and only for the few customers who have any. Statistics tell how many those have: where it is many, PostgreSQL
/// would read the whole table for every customer, and sort what it finds. With a limit of which it knows nothing, though it
/// is none, it takes the index, which is in order.
macro_rules! histories {
    ($which:literal, $own:literal) => {
        concat!(
            "SELECT c.customer_id, e.occurred, e.recorded, e.kinds, e.amounts, e.channels, e.properties, \
             v.effective, v.version_recorded, v.created, v.attributes, \
             r.occurred, r.recorded, r.kinds, r.amounts, r.channels, r.properties, r.retracted, r.ranks, c.has_merged \
             FROM customers AS c \
             LEFT JOIN LATERAL ( \
                 SELECT array_agg(occur_time) AS occurred, array_agg(record_time) AS recorded, \
                 array_agg(kind) AS kinds, array_agg(amount_minor) AS amounts, \
                 array_agg(channel) AS channels, \
                 array_agg(properties) AS properties \
                 FROM ((SELECT occur_time, interaction_id, record_time, kind, amount_minor, channel, properties \
                        FROM interactions AS i WHERE i.customer_id = ", $own, " AND NOT i.long \
                        ORDER BY occur_time, interaction_id) \
                       UNION ALL \
                       (SELECT occur_time, interaction_id, record_time, kind, amount_minor, channel, properties \
                        FROM interactions AS i WHERE i.customer_id = ", $own, " AND i.long \
                        ORDER BY occur_time, interaction_id) \
                       ORDER BY occur_time, interaction_id LIMIT $2) AS ordered \
             ) AS e ON true \
             LEFT JOIN LATERAL ( \
                 SELECT array_agg(effective_time) AS effective, array_agg(record_time) AS version_recorded, \
                 array_agg(create_time) AS created, array_agg(attributes) AS attributes \
                 FROM (SELECT * FROM customer_versions AS v WHERE v.customer_id = ", $own, " \
                       ORDER BY v.version) AS ordered \
             ) AS v ON true \
             LEFT JOIN LATERAL ( \
                 SELECT array_agg(occur_time) AS occurred, array_agg(record_time) AS recorded, \
                 array_agg(kind) AS kinds, array_agg(amount_minor) AS amounts, \
                 array_agg(channel) AS channels, \
                 array_agg(properties) AS properties, array_agg(retract_time) AS retracted, \
                 CASE WHEN count(*) > 0 THEN ARRAY( \
                     SELECT rank FROM ( \
                         SELECT occur_time, interaction_id, retract_time, \
                         count(*) FILTER (WHERE retract_time IS NULL) OVER ( \
                             PARTITION BY occur_time ORDER BY interaction_id, retract_time NULLS LAST \
                             ROWS UNBOUNDED PRECEDING \
                         ) AS rank \
                         FROM (SELECT r.occur_time, r.interaction_id, r.retract_time \
                               FROM retracted_interactions AS r WHERE r.customer_id = ", $own, " \
                               UNION ALL \
                               SELECT moments.occur_time, kept.interaction_id, NULL \
                               FROM (SELECT DISTINCT r.occur_time FROM retracted_interactions AS r \
                                     WHERE r.customer_id = ", $own, ") AS moments \
                               CROSS JOIN LATERAL ( \
                                   SELECT i.interaction_id FROM interactions AS i \
                                   WHERE i.customer_id = ", $own, " AND i.occur_time = moments.occur_time AND NOT i.long \
                                   UNION ALL \
                                   SELECT i.interaction_id FROM interactions AS i \
                                   WHERE i.customer_id = ", $own, " AND i.occur_time = moments.occur_time AND i.long \
                               ) AS kept) AS together \
                     ) AS ranked \
                     WHERE retract_time IS NOT NULL ORDER BY occur_time, interaction_id, retract_time \
                 ) END AS ranks \
                 FROM (SELECT occur_time, record_time, kind, amount_minor, channel, properties, retract_time \
                       FROM retracted_interactions AS r WHERE r.customer_id = ", $own, " \
                       ORDER BY r.occur_time, r.interaction_id, r.retract_time \
                       LIMIT (SELECT 9223372036854775807)) AS ordered \
             ) AS r ON true \
             WHERE c.customer_id ",
            $which
        )
    };
}

/// The interactions of a customer in order. Their ids only order them, and are not sent.
const EVENTS: &str = "SELECT occur_time, record_time, kind, amount_minor, channel, properties \
    FROM ((SELECT occur_time, record_time, kind, amount_minor, channel, properties, interaction_id \
           FROM interactions WHERE customer_id = $1 AND NOT long ORDER BY occur_time, interaction_id) \
          UNION ALL \
          (SELECT occur_time, record_time, kind, amount_minor, channel, properties, interaction_id \
           FROM interactions WHERE customer_id = $1 AND long ORDER BY occur_time, interaction_id)) AS own \
    ORDER BY occur_time, interaction_id";

impl HistorySql for Postgres {
    async fn packed_of(&self, customer_ids: &[String]) -> Result<HashMap<String, Packed>> {
        let mut reader = self.history_reader().await?;
        // With one id, Citus finds that only one worker is concerned.
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
        let rows =
            query.persistent(keeps_statements(&reader)).bind(Packed::FORMAT).fetch_all(&mut *reader).await?;
        reader.end();
        rows.iter().map(|row| Ok((row.try_get(0)?, Packed::from_bytes(row.try_get(1)?)))).collect()
    }

    async fn history_reader(&self) -> Result<Reader<Self>> {
        Ok(Reader::new(acquire(&self.connections.pools().histories, self.free_within).await?))
    }

    /// With one row a customer. The interactions of long histories are read row by row, to save memory.
    async fn read_histories(
        connection: &mut PgConnection,
        customer_ids: &[String],
    ) -> Result<HashMap<String, StoredHistory>> {
        let most = most_events(customer_ids.len());
        let rows = rows_of(connection, customer_ids, most + 1).await?;
        let bytes = rows.iter().map(bytes_in).sum();
        let (mut found, long) = compute(bytes, move || decode(&rows, most)).await?;
        for customer_id in long {
            if let Some(history) = read_long(connection, &customer_id).await? {
                found.insert(customer_id, history);
            }
        }
        Ok(found)
    }

    async fn forget_packed(tx: &mut Transaction<Self>, customer_ids: &[&str]) -> Result<()> {
        sqlx::query("DELETE FROM packed_histories WHERE customer_id = ANY($1)")
            .persistent(keeps_statements(tx))
            .bind(customer_ids)
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// Each customer in a transaction of its own, so that its writers wait as short as possible.
    async fn pack_histories(&self, customer_ids: Vec<String>) -> Result<usize> {
        let packs = customer_ids.into_iter().map(|id| detached(self, pack_one(self.clone(), id)));
        let packed: Vec<Result<bool>> = stream::iter(packs).buffer_unordered(PACKERS).collect().await;
        packed.into_iter().try_fold(0, |count, one| Ok(count + usize::from(one?)))
    }
}

/// Packs a customer's history; returns false when another transaction has locked the customer, or it does not exist.
async fn pack_one(store: Postgres, customer_id: String) -> Result<bool> {
    // Each statement must see what was committed before it, whatever the default of the database is.
    let mut tx = store.begin().await?;
    // What a crash loses is packed again.
    let settings = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off";
    sqlx::raw_sql(settings).execute(&mut *tx).await?;
    let Some(has_merged) = try_lock(&mut tx, &customer_id).await? else { return Ok(false) };
    if has_merged {
        // None joins or leaves them while their survivor is locked.
        let merged = merged_ids::<Postgres>(&mut tx, vec![customer_id.clone()]).await?;
        for MergedId { customer_id, .. } in merged.values().flatten() {
            if try_lock(&mut tx, customer_id).await?.is_none() {
                return Ok(false);
            }
        }
    }
    let histories = united_histories::<Postgres>(&mut tx, slice::from_ref(&customer_id)).await?;
    let Some(history) = histories.get(&customer_id) else { return Ok(false) };
    Postgres::run::<()>(&mut tx, insert_packed(&customer_id, &history.pack())).await?;
    tx.commit().await?;
    Ok(true)
}

/// Locks a customer and returns whether others are merged into it; None when another transaction has locked it, or
/// it does not exist. This keeps out writers of the customer's rows, whose foreign keys lock it, and waits for none of
/// them.
async fn try_lock(tx: &mut PgConnection, customer_id: &str) -> Result<Option<bool>> {
    Ok(sqlx::query_scalar("SELECT has_merged FROM customers WHERE customer_id = $1 FOR UPDATE SKIP LOCKED")
        .persistent(keeps_statements(tx))
        .bind(customer_id)
        .fetch_optional(tx)
        .await?)
}

/// Runs the statement that reads histories, with up to `events` interactions of each customer.
async fn rows_of(
    connection: &mut PgConnection,
    customer_ids: &[String],
    events: usize,
) -> Result<Vec<PgRow>> {
    // The statement for one customer soon gets a generic plan on each connection, where PostgreSQL plans the one
    // for several each time; and Citus finds that only one worker is concerned.
    let query = match customer_ids {
        [one] => sqlx::query(histories!("= $1", "$1")).bind(one),
        several => sqlx::query(histories!("= ANY($1)", "c.customer_id")).bind(several),
    };
    let query = query.bind(events as i64).persistent(keeps_statements(connection));
    Ok(query.fetch_all(connection).await?)
}

/// About how many bytes a row has: those of the times and the properties of its interactions, its longest columns.
fn bytes_in(row: &PgRow) -> usize {
    let bytes = |column| row.try_get_raw(column).ok()?.as_bytes().ok().map(<[u8]>::len);
    [1, 6].into_iter().filter_map(bytes).sum()
}

/// The histories in rows, and the customers who have more interactions than that.
fn decode(rows: &[PgRow], most: usize) -> Result<(HashMap<String, StoredHistory>, Vec<String>)> {
    let (mut found, mut long) = (HashMap::new(), Vec::new());
    for row in rows {
        let rows = CustomerRows::new(row)?;
        if elements(rows.events[0]).nth(most).is_some() {
            long.push(rows.customer_id.to_owned());
        } else {
            found.insert(rows.customer_id.to_owned(), rows.history()?);
        }
    }
    Ok((found, long))
}

/// Reads one history row by row; None when the customer does not exist.
async fn read_long(connection: &mut PgConnection, customer_id: &str) -> Result<Option<StoredHistory>> {
    // Both statements must see the same rows. Who packs is in a transaction, and has locked the customer.
    let mut snapshot = if connection.is_in_transaction() {
        connection.begin().await?
    } else {
        connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?
    };
    let others = rows_of(&mut snapshot, &[customer_id.to_owned()], 0).await?;
    let Some(row) = others.first() else { return Ok(None) };
    let customer = CustomerRows::new(row)?;
    let mut writer = customer.writer()?;
    let query = sqlx::query(EVENTS).bind(customer_id).persistent(keeps_statements(&snapshot));
    let mut rows = query.fetch(&mut *snapshot);
    while let Some(row) = rows.try_next().await? {
        writer.push(&event(bytes_of(&row)?)?)?;
    }
    drop(rows);
    snapshot.commit().await?;
    customer.finish(writer).map(Some)
}

/// The columns of a row in binary; None for NULL.
fn bytes_of<const N: usize>(row: &PgRow) -> Result<[Option<&[u8]>; N]> {
    let mut columns = [None; N];
    for (n, column) in columns.iter_mut().enumerate() {
        let value = row.try_get_raw(n)?;
        *column = if value.is_null() { None } else { Some(value.as_bytes().map_err(sqlx::Error::Decode)?) };
    }
    Ok(columns)
}

/// A customer in the row of [`rows_of`]: arrays that are aligned, empty ones for NULL.
struct CustomerRows<'a> {
    customer_id: &'a str,
    events: [&'a [u8]; 6],
    versions: [&'a [u8]; 4],
    retracted: [&'a [u8]; 8],
    has_merged: bool,
}

impl<'a> CustomerRows<'a> {
    fn new(row: &'a PgRow) -> Result<Self> {
        let [id, e0, e1, e2, e3, e4, e5, v0, v1, v2, v3, retracted @ .., has_merged] = bytes_of::<20>(row)?;
        Ok(Self {
            customer_id: binary::text(id.unwrap_or_default())?,
            events: [e0, e1, e2, e3, e4, e5].map(Option::unwrap_or_default),
            versions: [v0, v1, v2, v3].map(Option::unwrap_or_default),
            retracted: retracted.map(Option::unwrap_or_default),
            has_merged: has_merged.is_some_and(|byte| byte != [0]),
        })
    }

    /// The history of all interactions, which are here.
    fn history(&self) -> Result<StoredHistory> {
        let mut writer = self.writer()?;
        let [occurred, recorded, kinds, amounts, channels, properties] = self.events.map(elements);
        let values = occurred.zip(recorded).zip(kinds).zip(amounts).zip(channels).zip(properties);
        for (((((occurred, recorded), kind), amount), channel), properties) in values {
            writer.push(&event([occurred, recorded, kind, amount, channel, properties])?)?;
        }
        self.finish(writer)
    }

    fn writer(
        &self,
    ) -> Result<HistoryWriter<'a, impl Iterator<Item = Result<RetractedEvent<'a>>> + use<'a>>> {
        HistoryWriter::new(retracted_events(self.retracted.map(elements)))
    }

    /// The history of the interactions that were written, with the customer's versions.
    fn finish<R>(&self, writer: HistoryWriter<'a, R>) -> Result<StoredHistory>
    where
        R: Iterator<Item = Result<RetractedEvent<'a>>>,
    {
        let mut history = writer.finish()?;
        let [effective, known, created, attributes] = self.versions.map(elements);
        for (((effective, known), created), attributes) in effective.zip(known).zip(created).zip(attributes) {
            push_version(&mut history, [effective, known, created, attributes])?;
        }
        Ok(StoredHistory { history, has_merged: self.has_merged })
    }
}

/// The retracted interactions from aligned arrays: those of an interaction, times of retraction, and ranks.
fn retracted_events<'a>(
    mut columns: [impl Iterator<Item = Option<&'a [u8]>>; 8],
) -> impl Iterator<Item = Result<RetractedEvent<'a>>> {
    std::iter::from_fn(move || {
        let first = columns[0].next()?;
        let mut next = |n: usize| columns[n].next().flatten();
        let fields = [first, next(1), next(2), next(3), next(4), next(5)];
        let (Some(retract_time), Some(rank)) = (next(6), next(7)) else { return Some(Err(incomplete())) };
        let of = |event| {
            Ok(RetractedEvent { event, retract_time: binary::time(retract_time)?, rank: binary::int(rank)? })
        };
        Some(event(fields).and_then(of))
    })
}

/// An interaction: times, kind, amount, channel and properties in binary.
fn event(fields: [Option<&[u8]>; 6]) -> Result<RawEvent<'_>> {
    let [Some(occurred), Some(recorded), Some(kind), amount, Some(channel), properties] = fields else {
        return Err(incomplete());
    };
    Ok(RawEvent {
        kind: binary::text(kind)?,
        occur_time: binary::time(occurred)?,
        record_time: binary::time(recorded)?,
        amount_minor: amount.map(binary::int).transpose()?,
        channel: binary::text(channel)?,
        properties: properties.filter(|json| *json != b"{}").map(binary::text).transpose()?,
    })
}

fn incomplete() -> StoreError {
    StoreError::Internal("an interaction without time, kind or channel".to_owned())
}

/// Adds a version, times and attributes in binary; adds nothing when one of them is NULL.
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
