//! The removal of old interactions: page by page of customers, since their interactions are in the order of time.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::{Backend, Statement, changes::note_change, merges::SurvivorsOf, transaction::repeatable};
use crate::{
    error::Result,
    retention::{InteractionExpiry, RemovedInteractions, RetentionStore},
};

/// Rows that are removed in one transaction.
const ROWS: usize = 1_000;

/// The tables with interactions: how a statement that removes some begins, and the end of the selection of their keys.
const TABLES: [(&str, &str); 2] = [
    (
        "DELETE FROM interactions WHERE (customer_id, interaction_id) IN \
         (SELECT customer_id, interaction_id FROM interactions WHERE customer_id IN (",
        ") RETURNING customer_id",
    ),
    (
        "DELETE FROM retracted_interactions WHERE (customer_id, occur_time, interaction_id, retract_time) IN \
         (SELECT customer_id, occur_time, interaction_id, retract_time FROM retracted_interactions \
         WHERE customer_id IN (",
        ") RETURNING customer_id",
    ),
];

/// Removes some of the rows that are too old.
fn delete(
    (begin, end): (&'static str, &'static str),
    ids: &[String],
    expiry: &InteractionExpiry,
) -> Statement {
    let mut delete = Statement::new(begin);
    delete.push_list(ids.iter().map(|id| id.as_str().into())).push(") AND (false");
    for (kind, before) in &expiry.kinds {
        delete.push(" OR kind = ").push_bind(kind.as_str()).push(" AND occur_time < ").push_bind(*before);
    }
    if let Some(before) = expiry.others {
        delete.push(" OR occur_time < ").push_bind(before);
        for (kind, _) in &expiry.kinds {
            delete.push(" AND kind <> ").push_bind(kind.as_str());
        }
    }
    delete.push(")");
    // All of them are before this moment, up to which the rows of a customer are read in order.
    if let Some(last) = expiry.kinds.iter().map(|(_, before)| *before).chain(expiry.others).max() {
        delete.push(" AND occur_time < ").push_bind(last);
    }
    delete.push(" LIMIT ").push_bind(ROWS as i64).push(end);
    delete
}

/// Removes some rows. Returns the customers of each.
async fn remove<B: Backend>(
    store: &B,
    table: (&'static str, &'static str),
    ids: &[String],
    expiry: &InteractionExpiry,
) -> Result<Vec<String>> {
    repeatable(store, (store.clone(), ids.to_vec(), expiry.clone()), move |shared| async move {
        let (store, ids, expiry) = &*shared;
        let mut tx = store.begin().await?;
        let removed: Vec<(String,)> = B::run(&mut tx, delete(table, ids, expiry)).await?;
        let removed: Vec<String> = removed.into_iter().map(|(customer_id,)| customer_id).collect();
        if removed.is_empty() {
            return Ok(removed);
        }
        let changed: BTreeSet<&str> = removed.iter().map(String::as_str).collect();
        let changed: Vec<&str> = changed.into_iter().collect();
        for customer_id in changed.iter().copied() {
            // Against those who pack the histories meanwhile. Citus locks rows of one customer at a time.
            B::lock_for_backfill(&mut tx, &[customer_id]).await?;
        }
        let survivors = SurvivorsOf::read::<B>(&mut tx, &changed).await?;
        let touched = survivors.with(&changed);
        B::forget_packed(&mut tx, &touched).await?;
        note_change(store, &mut tx, touched).await?;
        tx.commit().await?;
        Ok(removed)
    })
    .await
}

#[async_trait]
impl<B: Backend> RetentionStore for B {
    async fn stored_ids(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let select = Statement::new(
            "SELECT customer_id FROM customers WHERE customer_id > $1 ORDER BY customer_id LIMIT $2",
        )
        .bind(after)
        .bind(limit as i64);
        Ok(self.read(select).await?.into_iter().map(|(customer_id,)| customer_id).collect())
    }

    async fn remove_interactions(
        &self,
        customer_ids: &[String],
        expiry: &InteractionExpiry,
    ) -> Result<RemovedInteractions> {
        let (mut removed, mut changed) = (0, BTreeSet::new());
        for table in TABLES {
            loop {
                let of = remove(self, table, customer_ids, expiry).await?;
                let rows = of.len();
                removed += rows as u64;
                changed.extend(of);
                if rows < ROWS {
                    break;
                }
            }
        }
        Ok(RemovedInteractions { removed, customer_ids: changed.into_iter().collect() })
    }
}
