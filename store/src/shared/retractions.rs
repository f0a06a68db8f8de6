//! Retractions: interactions that do not count any more leave the table of the others and keep their record time,
//! so that a replay still knows them.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;
use tally_model::time::Time;

use super::{
    Backend, Engine, SqlValue, Stamp, Statement, Transaction, audit, changes::note_change,
    create_times::settle_create_times, interactions::InteractionRow, merges::SurvivorsOf,
};
use crate::{
    audit::{Actor, NewAuditEvent},
    error::{RefusedItem, Result, StoreError},
    interactions::{Interaction, InteractionKey, Retracted},
};

/// The action in the audit log.
const ACTION: &str = "RetractInteractions";
/// Rows of a statement with bound values; SQLite allows 32,766 values.
const BOUND_ROWS: usize = 1_000;

/// A retracted interaction.
#[derive(FromRow)]
struct RetractedRow {
    #[sqlx(flatten)]
    interaction: InteractionRow,
    retract_time: Stamp,
}

/// The last retraction of keys that have one: what was retracted, and when.
#[derive(Default, PartialEq)]
pub(super) struct LastRetractions(HashMap<InteractionKey, (Interaction, Time)>);

impl LastRetractions {
    /// Reads those of these keys, which belong to the customers `customer_ids`. Nearly always there is none
    /// at all, or none of these customers, which cheap statements find out.
    pub(super) async fn read<B: Backend>(
        tx: &mut Transaction<B>,
        customer_ids: &[&str],
        keys: &[(&str, &str)],
    ) -> Result<Self> {
        let any = match customer_ids {
            // With one customer, Citus finds that only one worker is concerned.
            [one] => Statement::new("SELECT 1 FROM retracted_interactions WHERE customer_id = $1 LIMIT 1")
                .bind(*one),
            _ => Statement::new("SELECT 1 FROM retracted_interactions LIMIT 1"),
        };
        if B::run::<()>(tx, any).await?.is_empty() {
            return Ok(Self::default());
        }
        let customers: HashSet<String> =
            B::customers_with_retractions(tx, customer_ids).await?.into_iter().collect();
        let of_these = |(customer_id, _): &&(&str, &str)| customers.contains(*customer_id);
        let keys: Vec<(&str, &str)> = keys.iter().filter(of_these).copied().collect();
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let mut select = Statement::new(
            "SELECT customer_id, interaction_id, kind, occur_time, record_time, amount_minor, channel, \
             properties, retract_time FROM retracted_interactions WHERE (customer_id, interaction_id) IN (",
        );
        select.push_rows(keys.iter().map(key_values)).push(") ORDER BY retract_time");
        let rows: Vec<RetractedRow> = B::run(tx, select).await?;
        // Later ones replace earlier ones.
        Ok(Self(rows.into_iter().map(RetractedRow::into_entry).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn keys(&self) -> Vec<(&str, &str)> {
        self.0.values().map(|(interaction, _)| interaction.key()).collect()
    }

    /// What was retracted last under the key of an interaction.
    pub(super) fn of(&self, interaction: &Interaction) -> Option<&Interaction> {
        let (customer_id, interaction_id) = interaction.key();
        let key = InteractionKey { customer_id: customer_id.into(), interaction_id: interaction_id.into() };
        self.0.get(&key).map(|(retracted, _)| retracted)
    }
}

impl RetractedRow {
    fn into_entry(self) -> (InteractionKey, (Interaction, Time)) {
        let interaction = Interaction::from(self.interaction);
        let (customer_id, interaction_id) = interaction.key();
        let key = InteractionKey { customer_id: customer_id.into(), interaction_id: interaction_id.into() };
        (key, (interaction, self.retract_time.0))
    }
}

pub(super) fn key_values((customer_id, interaction_id): &(&str, &str)) -> [SqlValue; 2] {
    [(*customer_id).into(), (*interaction_id).into()]
}

/// Retracts those of these interactions that are stored, and returns them.
pub(super) async fn retract_stored<E: Engine>(
    tx: &mut Transaction<E>,
    keys: &[(&str, &str)],
    retract_time: Time,
    reason: &str,
) -> Result<Vec<Interaction>> {
    // The rows that are deleted are those that are stored as retracted: a concurrent transaction that deletes one of
    // them as well does not retract it twice.
    let mut delete = Statement::new("DELETE FROM interactions WHERE (customer_id, interaction_id) IN (");
    delete.push_rows(keys.iter().map(key_values)).push(
        ") RETURNING customer_id, interaction_id, kind, occur_time, record_time, amount_minor, channel, properties",
    );
    let rows: Vec<InteractionRow> = E::run(tx, delete).await?;
    let retracted: Vec<Interaction> = rows.into_iter().map(Interaction::from).collect();
    for part in retracted.chunks(BOUND_ROWS) {
        let mut insert = Statement::new(
            "INSERT INTO retracted_interactions (customer_id, interaction_id, kind, occur_time, record_time, \
             amount_minor, channel, properties, retract_time, reason) ",
        );
        let rows: Result<Vec<_>> = part.iter().map(|item| row_values(item, retract_time, reason)).collect();
        insert.push_rows(rows?);
        E::run::<()>(tx, insert).await?;
    }
    Ok(retracted)
}

fn row_values(item: &Interaction, retract_time: Time, reason: &str) -> Result<[SqlValue; 10]> {
    Ok([
        item.customer_id.as_str().into(),
        item.interaction_id.as_str().into(),
        item.kind.as_str().into(),
        item.occur_time.into(),
        item.record_time.into(),
        item.amount_minor.into(),
        item.channel.as_str().into(),
        SqlValue::json(&item.properties)?,
        retract_time.into(),
        reason.into(),
    ])
}

/// Keys to retract, each once, in order, with their places in the request.
pub(super) struct SortedKeys {
    keys: Vec<(usize, InteractionKey)>,
    /// The number of repetitions that were left out.
    repeated: usize,
}

impl SortedKeys {
    pub(super) fn new(keys: Vec<InteractionKey>) -> Self {
        let sent = keys.len();
        let mut keys: Vec<_> = keys.into_iter().enumerate().collect();
        keys.sort_by(|(_, a), (_, b)| {
            (&a.customer_id, &a.interaction_id).cmp(&(&b.customer_id, &b.interaction_id))
        });
        keys.dedup_by(|(_, a), (_, b)| a == b);
        let repeated = sent - keys.len();
        Self { keys, repeated }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.keys.iter().map(|(_, key)| (key.customer_id.as_str(), key.interaction_id.as_str())).collect()
    }

    /// The customers, each once.
    fn customer_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = self.keys.iter().map(|(_, key)| key.customer_id.as_str()).collect();
        ids.dedup();
        ids
    }
}

/// Retracts interactions in a transaction of its own.
pub(super) async fn retract<B: Backend>(
    store: &B,
    keys: &SortedKeys,
    (retract_time, by): (Time, &Actor),
    reason: &str,
) -> Result<Retracted> {
    let (pairs, customer_ids) = (keys.pairs(), keys.customer_ids());
    let mut tx = store.begin().await?;
    let retracted = retract_stored::<B>(&mut tx, &pairs, retract_time, reason).await?;
    if retracted.len() < pairs.len() {
        let known = LastRetractions::read::<B>(&mut tx, &customer_ids, &pairs).await?;
        if let Some((index, key)) =
            keys.keys.iter().filter(|(_, key)| !known.0.contains_key(key)).min_by_key(|(index, _)| *index)
        {
            let InteractionKey { customer_id, interaction_id } = key.clone();
            let message = format!(
                "keys[{index}]: no interaction `{interaction_id}` of customer `{customer_id}` was ever recorded; \
                 nothing was retracted"
            );
            let item = RefusedItem { index: *index, customer_id, interaction_id, message };
            return Err(StoreError::NotFound(item));
        }
    }
    if !retracted.is_empty() {
        let mut customer_ids: Vec<&str> = retracted.iter().map(|item| item.customer_id.as_str()).collect();
        customer_ids.sort_unstable();
        customer_ids.dedup();
        // After the insert, whose foreign keys lock the customers: see the table.
        let survivors = SurvivorsOf::read::<B>(&mut tx, &customer_ids).await?;
        let touched = survivors.with(&customer_ids);
        settle_create_times::<B>(&mut tx, &touched).await?;
        B::forget_packed(&mut tx, &touched).await?;
        let event = retraction(&customer_ids, retracted.len(), NewAuditEvent::done(retract_time, by, ACTION));
        audit::append(store, &mut tx, vec![event]).await?;
        note_change(store, &mut tx, touched).await?;
    }
    tx.commit().await?;
    let already_retracted = pairs.len() - retracted.len() + keys.repeated;
    Ok(Retracted { retracted: retracted.len(), already_retracted })
}

/// The event of a retraction; it names its customer when that is one.
fn retraction(customer_ids: &[&str], retracted: usize, event: NewAuditEvent) -> NewAuditEvent {
    let event = NewAuditEvent { count: retracted as i64, ..event };
    match customer_ids {
        [one] => event.about_customer(one),
        several => event.about(format!("{} customers", several.len())),
    }
}
