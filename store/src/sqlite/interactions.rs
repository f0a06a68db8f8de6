//! Interactions: in by statements with bound values, in the order of the table.

use sqlx::{QueryBuilder, Sqlite as Database, types::Json};

use super::{BOUND_ROWS, Sqlite};
use crate::{
    error::Result,
    interactions::Interaction,
    shared::{
        Stamp, Transaction,
        interactions::{Inserted, InteractionRow, InteractionSql},
    },
};

impl InteractionSql for Sqlite {
    /// The table itself has all of them in order.
    const ORDERED_PARTS: &'static [&'static str] = &["true"];

    const WRITES_ALONE: bool = true;

    async fn insert_interactions(tx: &mut Transaction<Self>, items: &[Interaction]) -> Result<Inserted> {
        let mut rows = 0;
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
            // Only the statement of a full part is used again. SQLite's count is exact, and RETURNING would take
            // half as long again as the insert.
            let query = query.build().persistent(part.len() == BOUND_ROWS);
            rows += query.execute(&mut **tx).await?.rows_affected() as usize;
        }
        Ok(Inserted { rows, customer_ids: None })
    }

    async fn stored_interactions(
        tx: &mut Transaction<Self>,
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
    async fn customers_with_retractions(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT value FROM json_each($1) AS asked WHERE EXISTS \
             (SELECT 1 FROM retracted_interactions AS r WHERE r.customer_id = asked.value)",
        )
        .bind(Json(customer_ids))
        .fetch_all(&mut **tx)
        .await?)
    }
}
