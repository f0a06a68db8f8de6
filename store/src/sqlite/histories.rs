//! Histories: packed, or all rows of all customers as one text.

use std::collections::HashMap;

use sqlx::{Connection, Row, SqliteConnection, types::Json};
use tally_model::{
    history::{Packed, Version},
    time::Time,
};

use super::Sqlite;
use crate::{
    error::{Result, StoreError, is_too_long},
    shared::{
        Engine, Reader, Transaction, compute, detached,
        histories::{
            HistorySql, HistoryWriter, RawEvent, RetractedEvent, StoredHistory, insert_packed, most_events,
        },
        json::from_json,
        merges::united_histories,
    },
};

/// How many interactions are read at a time, of a long history.
const PAGE_ROWS: usize = 1_000;

/// The histories of the customers in $1, in that order and in one row: for each customer its id, a line for each of the
/// first $2 interactions in order, a line for each retracted interaction in order, a line for each version, and whether others are
/// merged into it. Tabs separate the fields of a line, U+001D the parts of a customer, and U+001E customers. None of them
/// occurs in an id, a kind or a channel, where control characters are not allowed, nor in JSON, where they are escaped.
///
/// The rank of a retracted interaction is counted in one pass over it and all others of its moments, not by a count for
/// each. Hardly any customer has one: others cost a look into the index.
///
/// The limit is written as `$2 + 0`. If the parameter were the whole limit, SQLite would prepare the statement again after each
/// bind, which takes much longer than reading a short history.
const HISTORIES: &str = "SELECT group_concat(concat(customer_id, char(29), events, char(29), retracted, char(29), \
                                                    versions, char(29), has_merged), char(30)) \
    FROM (SELECT c.customer_id, c.has_merged, \
          (SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', channel, '\t', \
                                      properties), '\n') \
           FROM (SELECT occur_time, record_time, kind, amount_minor, channel, nullif(properties, '{}') AS properties \
                 FROM interactions AS i WHERE i.customer_id = c.customer_id \
                 ORDER BY i.occur_time, i.interaction_id LIMIT $2 + 0)) AS events, \
          CASE WHEN EXISTS (SELECT 1 FROM retracted_interactions AS r WHERE r.customer_id = c.customer_id) THEN \
          (SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', channel, '\t', \
                                      properties, '\t', retract_time, '\t', rank), '\n') \
           FROM (SELECT * FROM ( \
                     SELECT *, count(*) FILTER (WHERE retract_time IS NULL) OVER ( \
                         PARTITION BY occur_time ORDER BY interaction_id, retract_time NULLS LAST ROWS UNBOUNDED PRECEDING \
                     ) AS rank \
                     FROM (SELECT occur_time, interaction_id, record_time, kind, amount_minor, channel, \
                           nullif(properties, '{}') AS properties, retract_time \
                           FROM retracted_interactions AS r WHERE r.customer_id = c.customer_id \
                           UNION ALL \
                           SELECT i.occur_time, i.interaction_id, NULL, NULL, NULL, NULL, NULL, NULL \
                           FROM (SELECT DISTINCT occur_time FROM retracted_interactions AS r \
                                 WHERE r.customer_id = c.customer_id) AS moments \
                           CROSS JOIN interactions AS i \
                           ON i.customer_id = c.customer_id AND i.occur_time = moments.occur_time)) \
                 WHERE retract_time IS NOT NULL ORDER BY occur_time, interaction_id, retract_time)) END AS retracted, \
          (SELECT group_concat(concat(effective_time, '\t', record_time, '\t', create_time, '\t', attributes), '\n') \
           FROM (SELECT * FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
                 ORDER BY version)) AS versions \
          FROM json_each($1) AS asked CROSS JOIN customers AS c ON c.customer_id = asked.value)";

/// The $4 interactions of customer $1 that come after interaction $3 at the time $2, a line each, in order. The fields are
/// those of [`HISTORIES`], then the interaction's id.
const PAGE: &str = "SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', channel, \
                                               '\t', properties, '\t', interaction_id), '\n') \
    FROM (SELECT occur_time, record_time, kind, amount_minor, channel, nullif(properties, '{}') AS properties, interaction_id \
          FROM interactions WHERE customer_id = $1 AND (occur_time, interaction_id) > ($2, $3) \
          ORDER BY occur_time, interaction_id LIMIT $4 + 0)";

impl HistorySql for Sqlite {
    async fn packed_of(&self, customer_ids: &[String]) -> Result<HashMap<String, Packed>> {
        let rows = sqlx::query(
            "SELECT p.customer_id, p.history FROM json_each($1) AS asked \
             CROSS JOIN packed_histories AS p ON p.customer_id = asked.value WHERE p.format = $2",
        )
        .bind(Json(customer_ids))
        .bind(Packed::FORMAT)
        .fetch_all(&self.readers)
        .await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, Packed::from_bytes(row.try_get(1)?)))).collect()
    }

    async fn history_reader(&self) -> Result<Reader<Self>> {
        self.reader().await
    }

    /// In one row, since each row wakes a thread. Long histories are read page by page, to save memory.
    async fn read_histories(
        connection: &mut SqliteConnection,
        customer_ids: &[String],
    ) -> Result<HashMap<String, StoredHistory>> {
        let (mut found, mut long) = (HashMap::new(), Vec::new());
        let mut parts = vec![customer_ids];
        while let Some(part) = parts.pop() {
            let most = most_events(part.len());
            match (rows_of(connection, part, most + 1).await?, part) {
                (Some(text), _) => {
                    let (read, more) = compute(text.len(), move || decode(&text, most)).await?;
                    found.extend(read);
                    long.extend(more);
                }
                (None, [only]) => long.push(only.clone()),
                (None, several) => parts.extend(<[_; 2]>::from(several.split_at(several.len() / 2))),
            }
        }
        for customer_id in long {
            // All pages see the same interactions. Within a transaction this is a savepoint.
            let mut snapshot = connection.begin().await?;
            if let Some(history) = read_long(&mut snapshot, &customer_id).await? {
                found.insert(customer_id, history);
            }
            snapshot.commit().await?;
        }
        Ok(found)
    }

    async fn forget_packed(tx: &mut Transaction<Self>, customer_ids: &[&str]) -> Result<()> {
        sqlx::query("DELETE FROM packed_histories WHERE customer_id IN (SELECT value FROM json_each($1))")
            .bind(Json(customer_ids))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }

    /// In one transaction: as long as it lasts, nobody else writes.
    async fn pack_histories(&self, customer_ids: Vec<String>) -> Result<usize> {
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            let histories = united_histories::<Self>(&mut tx, &customer_ids).await?;
            for (customer_id, history) in &histories {
                Self::run::<()>(&mut tx, insert_packed(customer_id, &history.pack())).await?;
            }
            tx.commit().await?;
            Ok(histories.len())
        })
        .await
    }
}

/// The histories in a row of [`HISTORIES`], and the customers who have more interactions than that.
fn decode(text: &str, most: usize) -> Result<(HashMap<String, StoredHistory>, Vec<String>)> {
    let (mut found, mut long) = (HashMap::new(), Vec::new());
    for customer in text.split_terminator('\x1e') {
        let rows = CustomerRows::new(customer)?;
        if rows.events.split('\n').nth(most).is_some() {
            long.push(rows.customer_id.to_owned());
        } else {
            found.insert(rows.customer_id.to_owned(), rows.history()?);
        }
    }
    Ok((found, long))
}

/// Runs [`HISTORIES`] with up to `events` interactions of each customer; None when the row would be too long for SQLite.
async fn rows_of(
    connection: &mut SqliteConnection,
    customer_ids: &[String],
    events: usize,
) -> Result<Option<String>> {
    let query = sqlx::query_scalar(HISTORIES).bind(Json(customer_ids)).bind(events as i64);
    text_of(query.fetch_one(connection).await)
}

/// A text; None when it would be too long for SQLite.
fn text_of(read: sqlx::Result<Option<String>>) -> Result<Option<String>> {
    match read {
        Ok(text) => Ok(Some(text.unwrap_or_default())),
        Err(error) if is_too_long(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads one history page by page; None when the customer does not exist.
async fn read_long(connection: &mut SqliteConnection, customer_id: &str) -> Result<Option<StoredHistory>> {
    let text = rows_of(connection, &[customer_id.to_owned()], 0).await?.ok_or_else(too_long)?;
    if text.is_empty() {
        return Ok(None);
    }
    let rows = CustomerRows::new(&text)?;
    let mut writer = rows.writer()?;
    let mut page = page_after(connection, customer_id, (i64::MIN, "")).await?;
    while let Some(last) = page.split_terminator('\n').next_back() {
        let next = page_after(connection, customer_id, place(last)?);
        // The database reads the next page while this one is worked through.
        let (next, ()) = tokio::try_join!(next, async { push_page(&mut writer, &page) })?;
        page = next;
    }
    rows.finish(writer).map(Some)
}

/// The interactions of a customer after the one with this time and id; empty when there are no more.
async fn page_after(
    connection: &mut SqliteConnection,
    customer_id: &str,
    (occur_time, interaction_id): (i64, &str),
) -> Result<String> {
    let query = sqlx::query_scalar(PAGE).bind(customer_id).bind(occur_time).bind(interaction_id);
    text_of(query.bind(PAGE_ROWS as i64).fetch_one(connection).await)?.ok_or_else(too_long)
}

/// The time and the id of the interaction in a line of [`PAGE`].
fn place(line: &str) -> Result<(i64, &str)> {
    let mut fields = line.split('\t');
    let occur_time = number(fields.next().ok_or_else(too_short)?)?;
    Ok((occur_time, fields.next_back().ok_or_else(too_short)?))
}

fn push_page<'a, R>(writer: &mut HistoryWriter<'a, R>, page: &str) -> Result<()>
where
    R: Iterator<Item = Result<RetractedEvent<'a>>>,
{
    page.split('\n').try_for_each(|line| writer.push(&event(&mut line.split('\t'))?))
}

/// The parts of a customer in the row of [`HISTORIES`].
struct CustomerRows<'a> {
    customer_id: &'a str,
    events: &'a str,
    retracted: &'a str,
    versions: &'a str,
    has_merged: bool,
}

impl<'a> CustomerRows<'a> {
    fn new(customer: &'a str) -> Result<Self> {
        let mut parts = customer.split('\x1d');
        let mut next = || parts.next().ok_or_else(too_short);
        Ok(Self {
            customer_id: next()?,
            events: next()?,
            retracted: next()?,
            versions: next()?,
            has_merged: next()? != "0",
        })
    }

    /// The history of all interactions, which are here.
    fn history(&self) -> Result<StoredHistory> {
        let mut writer = self.writer()?;
        for line in self.events.split_terminator('\n') {
            writer.push(&event(&mut line.split('\t'))?)?;
        }
        self.finish(writer)
    }

    fn writer(
        &self,
    ) -> Result<HistoryWriter<'a, impl Iterator<Item = Result<RetractedEvent<'a>>> + use<'a>>> {
        HistoryWriter::new(self.retracted.split_terminator('\n').map(retracted_event))
    }

    /// The history of the interactions that were written, with the customer's versions.
    fn finish<R>(&self, writer: HistoryWriter<'a, R>) -> Result<StoredHistory>
    where
        R: Iterator<Item = Result<RetractedEvent<'a>>>,
    {
        let mut history = writer.finish()?;
        for line in self.versions.split_terminator('\n') {
            let mut fields = line.split('\t');
            let mut next = || fields.next().ok_or_else(too_short);
            history.push_version(Version {
                effective_time: Time(number(next()?)?),
                record_time: Time(number(next()?)?),
                create_time: Time(number(next()?)?),
                attributes: from_json(next()?)?,
            });
        }
        Ok(StoredHistory { history, has_merged: self.has_merged })
    }
}

/// An interaction from the fields of its line.
fn event<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<RawEvent<'a>> {
    let mut next = || fields.next().ok_or_else(too_short);
    let (occurred, recorded, amount, kind) = (next()?, next()?, next()?, next()?);
    let (channel, json) = (next()?, next()?);
    Ok(RawEvent {
        kind,
        occur_time: Time(number(occurred)?),
        record_time: Time(number(recorded)?),
        amount_minor: if amount.is_empty() { None } else { Some(number(amount)?) },
        channel,
        properties: Some(json).filter(|json| !json.is_empty()),
    })
}

fn retracted_event(line: &str) -> Result<RetractedEvent<'_>> {
    let mut fields = line.split('\t');
    let event = event(&mut fields)?;
    let mut next = || number(fields.next().ok_or_else(too_short)?);
    Ok(RetractedEvent { event, retract_time: Time(next()?), rank: next()? })
}

fn too_long() -> StoreError {
    StoreError::Internal("interactions of a customer are too long to be read".to_owned())
}

fn too_short() -> StoreError {
    StoreError::Internal("the row of a history lacks fields".to_owned())
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| StoreError::Internal("a number in the row of a history is not valid".to_owned()))
}
