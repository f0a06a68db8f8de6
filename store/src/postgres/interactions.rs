//! Interactions: in by `COPY` or `UNNEST`.

use sqlx::{Connection, PgConnection, Row};

use super::{COPY_ROWS, Postgres, binary, column, keeps_statements, try_column};
use crate::{
    error::Result,
    interactions::Interaction,
    shared::{
        Stamp, Transaction,
        interactions::{Inserted, InteractionRow, InteractionSql},
        json::to_json,
    },
};

impl InteractionSql for Postgres {
    /// Each part has an index of its own.
    const ORDERED_PARTS: &'static [&'static str] = &["NOT long", "long"];

    const WRITES_ALONE: bool = false;

    async fn insert_interactions(tx: &mut Transaction<Self>, items: &[Interaction]) -> Result<Inserted> {
        if items.len() >= COPY_ROWS {
            // COPY is by far the fastest, but has no ON CONFLICT: it is tried in the hope that all of the batch is
            // new. Databases report a conflict in several ways; any other error occurs again in the statement below.
            let mut attempt = tx.begin().await?;
            match copy(&mut attempt, items).await {
                Ok(()) => {
                    attempt.commit().await?;
                    return Ok(Inserted { rows: items.len(), customer_ids: None });
                }
                Err(_) => attempt.rollback().await?,
            }
        }
        insert(tx, items).await
    }

    async fn stored_interactions(
        tx: &mut Transaction<Self>,
        keys: &[(&str, &str)],
    ) -> Result<Vec<InteractionRow>> {
        Ok(sqlx::query_as(
            "SELECT i.* FROM UNNEST($1::text[], $2::text[]) AS asked (customer_id, interaction_id) \
             JOIN interactions AS i ON i.customer_id = asked.customer_id \
             AND i.interaction_id = asked.interaction_id",
        )
        .bind(column(keys, |(customer_id, _)| *customer_id))
        .bind(column(keys, |(_, interaction_id)| *interaction_id))
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn customers_with_retractions(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT DISTINCT customer_id FROM retracted_interactions WHERE customer_id = ANY($1)",
        )
        .bind(customer_ids)
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }
}

/// Stores those interactions that are new.
async fn insert(tx: &mut Transaction<Postgres>, items: &[Interaction]) -> Result<Inserted> {
    let inserted = sqlx::query(
        "INSERT INTO interactions (customer_id, interaction_id, kind, occur_time, record_time, \
         amount_minor, channel, properties) \
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], \
         $5::timestamptz[], $6::bigint[], $7::text[], $8::text[]::json[]) \
         ON CONFLICT (customer_id, interaction_id) DO NOTHING RETURNING customer_id",
    )
    .bind(column(items, |item| item.customer_id.as_str()))
    .bind(column(items, |item| item.interaction_id.as_str()))
    .bind(column(items, |item| item.kind.as_str()))
    .bind(column(items, |item| Stamp(item.occur_time)))
    .bind(column(items, |item| Stamp(item.record_time)))
    .bind(column(items, |item| item.amount_minor))
    .bind(column(items, |item| item.channel.as_str()))
    .bind(try_column(items, |item| to_json(&item.properties))?)
    .persistent(keeps_statements(tx))
    .fetch_all(&mut **tx)
    .await?;
    let rows = inserted.len();
    let customer_ids = match rows < items.len() {
        true => Some(inserted.iter().map(|row| row.try_get(0)).collect::<sqlx::Result<_>>()?),
        false => None,
    };
    Ok(Inserted { rows, customer_ids })
}

/// Stores interactions; fails when one of the keys is stored.
async fn copy(connection: &mut PgConnection, items: &[Interaction]) -> Result<()> {
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
