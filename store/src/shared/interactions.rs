//! Interactions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::time::Time;

use super::{
    Backend, Engine, Stamp, Statement, Transaction, batch::SortedBatch, changes::note_change,
    transaction::repeatable,
};
use crate::{
    error::{Result, StoreError},
    interactions::{Interaction, InteractionStore, Recorded},
};

/// What differs between the databases.
pub(crate) trait InteractionSql: Engine {
    /// Conditions that together match every interaction once. The database has the interactions of a customer that
    /// match one of them in order.
    const ORDERED_PARTS: &'static [&'static str];

    /// Stores the interactions whose keys are not stored, and returns their number.
    fn insert_interactions(
        tx: &mut Transaction<Self>,
        items: &[Interaction],
    ) -> impl Future<Output = Result<usize>> + Send;

    /// Returns the stored interactions with these keys (customer and interaction id).
    fn stored_interactions(
        tx: &mut Transaction<Self>,
        keys: &[(&str, &str)],
    ) -> impl Future<Output = Result<Vec<InteractionRow>>> + Send;
}

#[derive(FromRow)]
pub(crate) struct InteractionRow {
    customer_id: String,
    interaction_id: String,
    kind: String,
    occur_time: Stamp,
    record_time: Stamp,
    amount_minor: Option<i64>,
    channel: String,
    properties: Json<BTreeMap<String, String>>,
}

impl From<InteractionRow> for Interaction {
    fn from(row: InteractionRow) -> Self {
        Self {
            customer_id: row.customer_id,
            interaction_id: row.interaction_id,
            kind: row.kind,
            occur_time: row.occur_time.0,
            record_time: row.record_time.0,
            amount_minor: row.amount_minor,
            channel: row.channel,
            properties: row.properties.0,
        }
    }
}

/// Stores a batch and returns the number of new interactions.
async fn record<B: Backend>(store: &B, batch: &SortedBatch) -> Result<usize> {
    let mut tx = store.begin().await?;
    B::create_customers(&mut tx, &batch.first_seen()).await?;
    let recorded = B::insert_interactions(&mut tx, &batch.items).await?;
    if recorded > 0 {
        // After the insert, whose foreign keys lock the customers: see the table.
        B::forget_packed(&mut tx, &batch.customer_ids()).await?;
    }
    // This reads the rows inserted just now as well, which are equal to the batch.
    if recorded < batch.items.len() {
        for stored in B::stored_interactions(&mut tx, &batch.keys()).await? {
            batch.check_same(&stored.into())?;
        }
    }
    note_change(store, &mut tx, batch.customer_ids()).await?;
    tx.commit().await?;
    Ok(recorded)
}

/// A customer's interactions, newest first: the newest of each ordered part, merged.
fn newest_first(
    parts: &'static [&'static str],
    customer_id: &str,
    after: Option<&(Time, String)>,
    limit: i64,
) -> Statement {
    let mut statement = Statement::new("SELECT * FROM (");
    for (n, part) in parts.iter().enumerate() {
        statement.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" }).push(
            "SELECT customer_id, interaction_id, kind, occur_time, record_time, amount_minor, channel, \
             properties FROM interactions WHERE customer_id = ",
        );
        statement.push_bind(customer_id).push(" AND ").push(part);
        if let Some((occur_time, interaction_id)) = after {
            statement.push(" AND (occur_time, interaction_id) < (").push_bind(*occur_time);
            statement.push(", ").push_bind(interaction_id.as_str()).push(")");
        }
        statement.push(" ORDER BY occur_time DESC, interaction_id DESC LIMIT ").push_bind(limit);
        statement.push(") AS part");
    }
    statement.push(") AS parts ORDER BY occur_time DESC, interaction_id DESC LIMIT ").push_bind(limit);
    statement
}

#[async_trait]
impl<B: Backend> InteractionStore for B {
    async fn record_interactions(&self, interactions: Vec<Interaction>) -> Result<Recorded> {
        // Sorting ten thousand keeps a core busy for milliseconds.
        let sorted = tokio::task::spawn_blocking(|| SortedBatch::new(interactions)).await;
        let batch = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
        repeatable((self.clone(), batch), |shared| async move {
            let (store, batch) = &*shared;
            let recorded = record(store, batch).await?;
            Ok(Recorded { recorded, duplicates: batch.items.len() - recorded + batch.repeated })
        })
        .await
    }

    async fn interactions(
        &self,
        customer_id: &str,
        after: Option<(Time, String)>,
        limit: usize,
    ) -> Result<Vec<Interaction>> {
        let statement = newest_first(B::ORDERED_PARTS, customer_id, after.as_ref(), limit as i64);
        Ok(self.read::<InteractionRow>(statement).await?.into_iter().map(Interaction::from).collect())
    }
}
