//! Interactions.

use std::{cmp::Ordering, collections::BTreeMap};

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::time::Time;

use super::{
    Backend, Engine, Stamp, Statement, Transaction,
    batch::SortedBatch,
    recording::record,
    retractions::{SortedKeys, retract},
    transaction::repeatable,
};
use crate::{
    audit::Actor,
    error::{Result, StoreError},
    interactions::{
        Interaction, InteractionCursor, InteractionKey, InteractionStore, ListedInteraction, RecordOptions,
        Recorded, Retracted,
    },
};

/// What differs between the databases.
pub(crate) trait InteractionSql: Engine {
    /// Conditions that together match every interaction once. The database has the interactions of a customer that
    /// match one of them in order.
    const ORDERED_PARTS: &'static [&'static str];

    /// Whether a writing transaction keeps out all others from its beginning.
    const WRITES_ALONE: bool;

    /// Stores the interactions whose keys are not stored.
    fn insert_interactions(
        tx: &mut Transaction<Self>,
        items: &[Interaction],
    ) -> impl Future<Output = Result<Inserted>> + Send;

    /// Returns the stored interactions with these keys (customer and interaction id).
    fn stored_interactions(
        tx: &mut Transaction<Self>,
        keys: &[(&str, &str)],
    ) -> impl Future<Output = Result<Vec<InteractionRow>>> + Send;

    /// Returns those of these customers that have retracted interactions.
    fn customers_with_retractions(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> impl Future<Output = Result<Vec<String>>> + Send;
}

/// Interactions that were stored.
pub(crate) struct Inserted {
    /// Their number.
    pub(crate) rows: usize,
    /// Whose they are, unless all were stored or this is the only transaction that writes.
    pub(crate) customer_ids: Option<Vec<String>>,
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

/// A row of a list.
#[derive(FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    interaction: InteractionRow,
    retract_time: Option<Stamp>,
}

impl From<ListedRow> for ListedInteraction {
    fn from(row: ListedRow) -> Self {
        let retract_time = row.retract_time.map(|stamp| stamp.0);
        Self { interaction: row.interaction.into(), retract_time }
    }
}

/// Which interactions of a customer are listed.
struct ListedPage<'a> {
    customer_id: &'a str,
    after: Option<&'a InteractionCursor>,
    limit: i64,
    retracted: bool,
}

impl ListedPage<'_> {
    /// The newest of each ordered part, merged. Of one key, the one that counts comes first, then the one that was
    /// retracted last.
    fn select(&self, parts: &'static [&'static str]) -> Statement {
        let mut statement = Statement::new("SELECT * FROM (");
        for (n, part) in parts.iter().enumerate() {
            statement.push(if n == 0 { "SELECT * FROM (" } else { " UNION ALL SELECT * FROM (" }).push(
                "SELECT customer_id, interaction_id, kind, occur_time, record_time, amount_minor, channel, \
                 properties, CAST(NULL AS TIMESTAMPTZ) AS retract_time FROM interactions WHERE customer_id = ",
            );
            statement.push_bind(self.customer_id).push(" AND ").push(part);
            if let Some(InteractionCursor { occur_time, interaction_id, customer_id, .. }) = self.after {
                let below = if self.customer_id < customer_id.as_str() { "<=" } else { "<" };
                statement.push(" AND (occur_time, interaction_id) ").push(below).push(" (");
                statement.push_bind(*occur_time).push(", ").push_bind(interaction_id.as_str()).push(")");
            }
            statement.push(" ORDER BY occur_time DESC, interaction_id DESC LIMIT ").push_bind(self.limit);
            statement.push(") AS part");
        }
        if self.retracted {
            self.push_retracted(&mut statement);
        }
        statement.push(") AS parts ORDER BY occur_time DESC, interaction_id DESC, coalesce(retract_time, ");
        statement.push_bind(Time::MAX).push(") DESC LIMIT ").push_bind(self.limit);
        statement
    }

    fn push_retracted(&self, statement: &mut Statement) {
        statement.push(
            " UNION ALL SELECT * FROM (SELECT customer_id, interaction_id, kind, occur_time, record_time, \
             amount_minor, channel, properties, retract_time FROM retracted_interactions WHERE customer_id = ",
        );
        statement.push_bind(self.customer_id);
        if let Some(InteractionCursor { occur_time, interaction_id, customer_id, retract_time }) = self.after
        {
            // Of equal ids, all rows of a lesser customer come later, and those of a greater one came before.
            let retract_time = match self.customer_id.cmp(customer_id) {
                Ordering::Less => Time::MAX,
                Ordering::Equal => retract_time.unwrap_or(Time::MAX),
                Ordering::Greater => Time::MIN,
            };
            statement.push(" AND (occur_time, interaction_id, retract_time) < (").push_bind(*occur_time);
            statement.push(", ").push_bind(interaction_id.as_str()).push(", ");
            statement.push_bind(retract_time).push(")");
        }
        statement.push(" ORDER BY occur_time DESC, interaction_id DESC, retract_time DESC LIMIT ");
        statement.push_bind(self.limit).push(") AS part");
    }
}

#[async_trait]
impl<B: Backend> InteractionStore for B {
    async fn record_interactions(
        &self,
        interactions: Vec<Interaction>,
        options: RecordOptions,
    ) -> Result<Recorded> {
        // Sorting ten thousand keeps a core busy for milliseconds.
        let sort = move || SortedBatch::new(interactions, options.on_conflict);
        let sorted = tokio::task::spawn_blocking(sort).await;
        let batch = sorted.map_err(|error| StoreError::Internal(error.to_string()))??;
        repeatable(self, (self.clone(), batch), move |shared| async move {
            record(&shared.0, &shared.1, options).await
        })
        .await
    }

    async fn retract_interactions(
        &self,
        keys: Vec<InteractionKey>,
        retract_time: Time,
        reason: String,
        by: &Actor,
    ) -> Result<Retracted> {
        let context = (self.clone(), SortedKeys::new(keys), reason, by.clone());
        repeatable(self, context, move |shared| async move {
            let (store, keys, reason, by) = &*shared;
            retract(store, keys, (retract_time, by), reason).await
        })
        .await
    }

    async fn interactions(
        &self,
        customer_id: &str,
        after: Option<InteractionCursor>,
        limit: usize,
        retracted: bool,
    ) -> Result<Vec<ListedInteraction>> {
        let page = ListedPage { customer_id, after: after.as_ref(), limit: limit as i64, retracted };
        let rows = self.read::<ListedRow>(page.select(B::ORDERED_PARTS)).await?;
        Ok(rows.into_iter().map(ListedInteraction::from).collect())
    }
}
