//! What a backfill changes beside the rows that it adds: the record times of those that were only recorded late, and
//! the marks of the predictions that knew another past.

use std::collections::HashSet;

use tally_model::time::Time;

use super::{
    Engine, SqlValue, Statement, Transaction, customers::CustomerSql, merges::SurvivorsOf,
    retractions::key_values,
};
use crate::{error::Result, interactions::Interaction};

/// Changes of the past that are looked up at a time: a statement with some thousands takes a megabyte.
const CHANGES: usize = 500;

/// An interaction that counts as known earlier than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChangedPast<'a> {
    pub(super) customer_id: &'a str,
    pub(super) occur_time: Time,
    /// Since when it counts as known now.
    pub(super) from: Time,
    /// Since when it has counted as known before; None for a new one.
    pub(super) until: Option<Time>,
}

/// The changes that new interactions make, one a customer: that of its earliest one, which concerns every prediction
/// that another one concerns. The interactions are in the order of their customers.
pub(super) fn of_new<'a>(
    items: &'a [Interaction],
    stored_before: &HashSet<(String, String)>,
    now: Time,
) -> Vec<ChangedPast<'a>> {
    let is_new = |item: &&Interaction| {
        let (customer_id, interaction_id) = item.key();
        item.record_time < now
            && !stored_before.contains(&(customer_id.to_owned(), interaction_id.to_owned()))
    };
    let own = items.chunk_by(|a, b| a.customer_id == b.customer_id);
    let first = own.filter_map(|own| own.iter().filter(is_new).min_by_key(|item| item.occur_time));
    first
        .map(|item| ChangedPast {
            customer_id: &item.customer_id,
            occur_time: item.occur_time,
            from: item.record_time,
            until: None,
        })
        .collect()
}

/// The changes, and those that they are for the customers whose histories have these interactions by a merge.
pub(super) fn with_survivors<'a>(
    mut changes: Vec<ChangedPast<'a>>,
    survivors: &'a SurvivorsOf,
) -> Vec<ChangedPast<'a>> {
    for n in 0..changes.len() {
        let change = changes[n];
        let of_survivor = |(customer_id, known_from): (&'a str, Time)| ChangedPast {
            customer_id,
            from: change.from.max(known_from),
            ..change
        };
        changes.extend(survivors.of(change.customer_id).map(of_survivor));
    }
    changes
}

/// Moves the record times of these interactions back to when they happened; returns the customer of each.
pub(super) async fn move_back<E: CustomerSql>(
    tx: &mut Transaction<E>,
    customer_ids: &[&str],
    keys: &[(&str, &str)],
    now: Time,
) -> Result<Vec<String>> {
    // This keeps out whoever packs a history, as the foreign keys of new interactions do.
    E::lock_for_backfill(tx, customer_ids).await?;
    let mut update = Statement::new(
        "UPDATE interactions SET record_time = occur_time WHERE record_time > occur_time AND occur_time <= ",
    );
    update.push_bind(now).push(" AND (customer_id, interaction_id) IN (");
    update.push_rows(keys.iter().map(key_values)).push(") RETURNING customer_id");
    let moved: Vec<(String,)> = E::run(tx, update).await?;
    Ok(moved.into_iter().map(|(customer_id,)| customer_id).collect())
}

/// Whether any prediction is stored.
pub(super) async fn any_predictions<E: Engine>(tx: &mut Transaction<E>) -> Result<bool> {
    let select = Statement::new("SELECT 1 FROM predictions LIMIT 1");
    Ok(!E::run::<()>(tx, select).await?.is_empty())
}

/// Marks the predictions whose past has changed, and returns their number.
pub(super) async fn mark_predictions<E: Engine>(
    tx: &mut Transaction<E>,
    changes: &[ChangedPast<'_>],
    now: Time,
) -> Result<usize> {
    let mut marked = 0;
    for part in changes.chunks(CHANGES) {
        let mut update = Statement::new("UPDATE predictions SET backfill_time = ");
        update.push_bind(now).push(
            // CROSS JOIN makes SQLite look up the predictions of each change by their customer.
            " WHERE (prediction_id, customer_id) IN (SELECT p.prediction_id, p.customer_id FROM (",
        );
        update.push_rows(part.iter().map(change_values)).push(
            ") AS change CROSS JOIN predictions AS p WHERE p.customer_id = change.column1 \
             AND p.as_of_time >= change.column2 AND p.known_time >= change.column3 \
             AND p.known_time < change.column4) AND (backfill_time IS NULL OR backfill_time < ",
        );
        update.push_bind(now).push(") RETURNING 1");
        marked += E::run::<()>(tx, update).await?.len();
    }
    Ok(marked)
}

fn change_values(change: &ChangedPast<'_>) -> [SqlValue; 4] {
    let ChangedPast { customer_id, occur_time, from, until } = *change;
    [customer_id.into(), occur_time.into(), from.into(), until.unwrap_or(Time::MAX).into()]
}
