//! Histories: packed, or all rows of all customers as one text.

use std::collections::HashMap;

use sqlx::{Row, SqliteConnection, types::Json};
use tally_model::{
    history::{History, Packed, Version},
    time::Time,
};

use super::Sqlite;
use crate::{
    error::{Result, StoreError},
    shared::{
        Engine, Reader, Transaction, detached,
        histories::{HistorySql, HistoryWriter, RawEvent, RetractedEvent, StoredHistory, insert_packed},
        json::from_json,
        merges::united_histories,
    },
};

/// The histories of the customers in $1, in that order and in one row: for each customer its id, a line for each
/// interaction in order, a line for each retracted interaction in order, a line for each version, and whether others are
/// merged into it. Tabs separate the fields of a line, U+001D the parts of a customer, and U+001E customers. None of them
/// occurs in an id, a kind or a channel, where control characters are not allowed, nor in JSON, where they are escaped.
const HISTORIES: &str = "SELECT group_concat(concat(customer_id, char(29), events, char(29), retracted, char(29), \
                                                    versions, char(29), has_merged), char(30)) \
    FROM (SELECT c.customer_id, c.has_merged, \
          (SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', channel, '\t', \
                                      properties), '\n') \
           FROM (SELECT occur_time, record_time, kind, amount_minor, channel, nullif(properties, '{}') AS properties \
                 FROM interactions AS i WHERE i.customer_id = c.customer_id \
                 ORDER BY i.occur_time, i.interaction_id)) AS events, \
          (SELECT group_concat(concat(occur_time, '\t', record_time, '\t', amount_minor, '\t', kind, '\t', channel, '\t', \
                                      properties, '\t', retract_time, '\t', rank), '\n') \
           FROM (SELECT occur_time, record_time, kind, amount_minor, channel, nullif(properties, '{}') AS properties, \
                 retract_time, \
                 (SELECT count(*) FROM interactions AS i WHERE i.customer_id = r.customer_id \
                  AND i.occur_time = r.occur_time AND i.interaction_id < r.interaction_id) AS rank \
                 FROM retracted_interactions AS r WHERE r.customer_id = c.customer_id \
                 ORDER BY r.occur_time, r.interaction_id, r.retract_time)) AS retracted, \
          (SELECT group_concat(concat(effective_time, '\t', record_time, '\t', create_time, '\t', attributes), '\n') \
           FROM (SELECT * FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
                 ORDER BY version)) AS versions \
          FROM json_each($1) AS asked CROSS JOIN customers AS c ON c.customer_id = asked.value)";

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

    /// In one row, since each row wakes a thread.
    async fn read_histories(
        connection: &mut SqliteConnection,
        customer_ids: &[String],
    ) -> Result<HashMap<String, StoredHistory>> {
        let text: Option<String> =
            sqlx::query_scalar(HISTORIES).bind(Json(customer_ids)).fetch_one(connection).await?;
        let customers = text.iter().flat_map(|text| text.split('\x1e'));
        customers
            .map(|customer| {
                let mut parts = customer.split('\x1d');
                let mut next = || parts.next().ok_or_else(too_short);
                let (id, history) = (next()?.to_owned(), history(next()?, next()?, next()?)?);
                Ok((id, StoredHistory { history, has_merged: next()? != "0" }))
            })
            .collect()
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

/// A history from the lines of its interactions, of the retracted ones, and of its versions.
fn history(events: &str, retracted: &str, versions: &str) -> Result<History> {
    let mut writer = HistoryWriter::new(retracted.split_terminator('\n').map(retracted_event))?;
    for line in events.split_terminator('\n') {
        writer.push(&event(&mut line.split('\t'))?)?;
    }
    let mut history = writer.finish()?;
    for line in versions.split_terminator('\n') {
        let mut fields = line.split('\t');
        let mut next = || fields.next().ok_or_else(too_short);
        history.push_version(Version {
            effective_time: Time(number(next()?)?),
            record_time: Time(number(next()?)?),
            create_time: Time(number(next()?)?),
            attributes: from_json(next()?)?,
        });
    }
    Ok(history)
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

fn too_short() -> StoreError {
    StoreError::Internal("the row of a history lacks fields".to_owned())
}

fn number(text: &str) -> Result<i64> {
    text.parse().map_err(|_| StoreError::Internal("a number in the row of a history is not valid".to_owned()))
}
