//! Alerts.
//!
//! The numbers that order them come from one row, which the transaction of an alert locks until it commits: so the
//! numbers become visible in their order, and who has read up to one has missed none. That lock also keeps alerts apart
//! from the erasing and merging of their customers.

mod deliveries;
mod rows;
mod sources;

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use tally_model::{
    insight::alert::{AlertKind, Finding},
    time::Time,
};

use super::{
    Backend, Statement, Transaction,
    transaction::{detached, repeatable},
};
use crate::{
    alerts::{Acknowledgement, Alert, AlertFilter, AlertStore, NewAlert},
    error::Result,
};
use rows::{AlertRow, SELECT_ALERTS};

/// Alerts that are stored in one transaction.
const STORED_AT_ONCE: usize = 500;

/// Those of the alerts whose cause has none yet, by what is committed.
async fn without_known<B: Backend>(store: &B, alerts: Vec<NewAlert>) -> Result<Vec<NewAlert>> {
    let mut known: HashSet<(String, String)> = HashSet::new();
    for part in alerts.chunks(STORED_AT_ONCE) {
        let mut select = Statement::new("SELECT rule, cause FROM alerts WHERE (rule, cause) IN (");
        select.push_rows(part.iter().map(|alert| [alert.rule.as_str().into(), alert.cause.as_str().into()]));
        select.push(")");
        known.extend(store.read::<(String, String)>(select).await?);
    }
    let mut seen = known;
    Ok(alerts.into_iter().filter(|alert| seen.insert((alert.rule.clone(), alert.cause.clone()))).collect())
}

/// Keeps others from storing alerts until the transaction ends, and draws so many numbers. Returns the last of them.
async fn draw<B: Backend>(tx: &mut Transaction<B>, numbers: usize) -> Result<i64> {
    let draw = Statement::new(
        "UPDATE alert_counter SET last_sequence = last_sequence + $1 WHERE counter = 1 RETURNING last_sequence",
    )
    .bind(numbers as i64);
    Ok(B::run::<(i64,)>(tx, draw).await?.pop().map_or(0, |(last,)| last))
}

/// Keeps alerts from being stored until the transaction ends; waits for those that are. Who erases or merges a customer
/// calls it before its statements about alerts: they find all alerts of the customer then, and whoever stores alerts
/// afterwards finds the customer erased or merged. No customer has to be locked for it, which would hold up those who
/// store interactions.
pub(super) async fn lock_alerts<B: Backend>(tx: &mut Transaction<B>) -> Result<()> {
    draw::<B>(tx, 0).await.map(drop)
}

/// Returns the survivor of each customer of the alerts that exists.
async fn survivors<B: Backend>(
    tx: &mut Transaction<B>,
    alerts: &[NewAlert],
) -> Result<HashMap<String, String>> {
    let ids: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.customer_id.as_deref()).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = Statement::new(
        "SELECT customer_id, coalesce(survivor_id, customer_id) FROM customers WHERE customer_id IN (",
    );
    select.push_list(ids.into_iter().map(Into::into)).push(")");
    Ok(B::run::<(String, String)>(tx, select).await?.into_iter().collect())
}

/// Stores alerts, each with its customer or none and its sequence. Returns the ids of those whose cause had none.
async fn insert<B: Backend>(
    tx: &mut Transaction<B>,
    alerts: &[(&NewAlert, &str, i64)],
    now: Time,
) -> Result<HashSet<String>> {
    let mut insert = Statement::new(
        "INSERT INTO alerts (customer_id, alert_id, sequence, rule, kind, subject, cause, as_of_time, create_time, \
         message, value, previous_value, limit_value) ",
    );
    let row = |(alert, customer_id, sequence): &(&NewAlert, &str, i64)| {
        let Finding { message, value, previous, limit } = &alert.finding;
        [
            (*customer_id).into(),
            alert.alert_id.as_str().into(),
            (*sequence).into(),
            alert.rule.as_str().into(),
            alert.kind.name().into(),
            alert.subject.as_str().into(),
            alert.cause.as_str().into(),
            alert.as_of.into(),
            now.into(),
            message.as_str().into(),
            (*value).into(),
            (*previous).into(),
            (*limit).into(),
        ]
    };
    insert.push_rows(alerts.iter().map(row));
    insert.push(" ON CONFLICT (rule, cause, customer_id) DO NOTHING RETURNING alert_id");
    Ok(B::run::<(String,)>(tx, insert).await?.into_iter().map(|(id,)| id).collect())
}

/// Stores the deliveries of these alerts, which are due at once.
async fn insert_deliveries<B: Backend>(tx: &mut Transaction<B>, alert_ids: &HashSet<String>) -> Result<()> {
    let mut insert = Statement::new(
        "INSERT INTO alert_deliveries (customer_id, alert_id, sequence, state, attempts, last_error, \
         next_attempt_time, lease_owner, lease_until) \
         SELECT customer_id, alert_id, sequence, 'pending', 0, '', create_time, '', create_time FROM alerts \
         WHERE alert_id IN (",
    );
    insert.push_list(alert_ids.iter().map(|id| id.as_str().into())).push(")");
    B::run::<()>(tx, insert).await.map(drop)
}

/// Stores alerts in one transaction.
async fn insert_all<B: Backend>(
    store: &B,
    alerts: &[NewAlert],
    (now, deliver): (Time, bool),
) -> Result<Vec<AlertKind>> {
    let mut tx = store.begin().await?;
    let last = draw::<B>(&mut tx, alerts.len()).await?;
    let survivors = survivors::<B>(&mut tx, alerts).await?;
    let mut places: Vec<(&NewAlert, &str, i64)> = Vec::new();
    for (alert, sequence) in alerts.iter().zip(last - alerts.len() as i64 + 1..) {
        let customer_id = match &alert.customer_id {
            None => "",
            Some(id) => match survivors.get(id) {
                Some(survivor) => survivor,
                None => continue,
            },
        };
        places.push((alert, customer_id, sequence));
    }
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let stored = insert::<B>(&mut tx, &places, now).await?;
    if deliver && !stored.is_empty() {
        insert_deliveries::<B>(&mut tx, &stored).await?;
    }
    tx.commit().await?;
    let stored = alerts.iter().filter(|alert| stored.contains(&alert.alert_id));
    Ok(stored.map(|alert| alert.kind).collect())
}

/// Appends `WHERE …` of the alerts that pass the filter.
fn push_filter(statement: &mut Statement, filter: &AlertFilter) {
    statement.push(" WHERE true");
    if let Some(rule) = &filter.rule {
        statement.push(" AND a.rule = ").push_bind(rule.as_str());
    }
    if let Some(kind) = filter.kind {
        statement.push(" AND a.kind = ").push_bind(kind);
    }
    if let Some(customer_id) = &filter.customer_id {
        statement.push(" AND a.customer_id = ").push_bind(customer_id.as_str());
    }
    match filter.acknowledged {
        Some(true) => statement.push(" AND a.acknowledge_time IS NOT NULL"),
        Some(false) => statement.push(" AND a.acknowledge_time IS NULL"),
        None => statement,
    };
    if let Some(state) = filter.delivery {
        statement.push(" AND d.state = ").push_bind(state.name());
    }
}

async fn read_alerts<B: Backend>(store: &B, select: Statement) -> Result<Vec<Alert>> {
    store.read::<AlertRow>(select).await?.into_iter().map(Alert::try_from).collect()
}

#[async_trait]
impl<B: Backend> AlertStore for B {
    async fn without_known_causes(&self, alerts: Vec<NewAlert>) -> Result<Vec<NewAlert>> {
        without_known(self, alerts).await
    }

    async fn insert_alerts(&self, alerts: Vec<NewAlert>, now: Time, deliver: bool) -> Result<Vec<AlertKind>> {
        let alerts = without_known(self, alerts).await?;
        let mut stored = Vec::new();
        for part in alerts.chunks(STORED_AT_ONCE) {
            stored.extend(
                repeatable(self, (self.clone(), part.to_vec()), move |shared| async move {
                    let (store, part) = &*shared;
                    insert_all(store, part, (now, deliver)).await
                })
                .await?,
            );
        }
        Ok(stored)
    }

    async fn alerts(&self, filter: &AlertFilter, before: Option<i64>, limit: usize) -> Result<Vec<Alert>> {
        let mut select = Statement::new(SELECT_ALERTS);
        push_filter(&mut select, filter);
        if let Some(before) = before {
            select.push(" AND a.sequence < ").push_bind(before);
        }
        select.push(" ORDER BY a.sequence DESC LIMIT ").push_bind(limit as i64);
        read_alerts(self, select).await
    }

    async fn count_alerts(&self, filter: &AlertFilter) -> Result<u64> {
        let mut select = Statement::new(
            "SELECT count(*) FROM alerts AS a LEFT JOIN alert_deliveries AS d \
             ON d.customer_id = a.customer_id AND d.alert_id = a.alert_id",
        );
        push_filter(&mut select, filter);
        self.count(select).await
    }

    async fn alerts_after(&self, after: i64, limit: usize) -> Result<Vec<Alert>> {
        let mut select = Statement::new(SELECT_ALERTS);
        select.push(" WHERE a.sequence > ").push_bind(after);
        select.push(" ORDER BY a.sequence LIMIT ").push_bind(limit as i64);
        read_alerts(self, select).await
    }

    async fn last_alert(&self) -> Result<i64> {
        let last = self.read_one(Statement::new("SELECT last_sequence FROM alert_counter")).await?;
        Ok(last.map_or(0, |(last,)| last))
    }

    async fn acknowledge_alert(&self, alert_id: &str, seen: Acknowledgement) -> Result<Option<Alert>> {
        let update = Statement::new(
            "UPDATE alerts SET acknowledge_time = $1, acknowledged_by = $2, note = $3 \
             WHERE alert_id = $4 AND acknowledge_time IS NULL",
        )
        .bind(seen.time)
        .bind(seen.who.as_str())
        .bind(seen.note.as_str())
        .bind(alert_id);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, update).await?;
            Ok(tx.commit().await?)
        })
        .await?;
        let mut select = Statement::new(SELECT_ALERTS);
        select.push(" WHERE a.alert_id = ").push_bind(alert_id);
        Ok(read_alerts(self, select).await?.pop())
    }
}

/// Makes the alerts of a customer those of its survivor.
pub(super) async fn merge_alerts<B: Backend>(tx: &mut Transaction<B>, from: &str, into: &str) -> Result<()> {
    lock_alerts::<B>(tx).await?;
    let alerts = Statement::new("UPDATE alerts SET customer_id = $1 WHERE customer_id = $2");
    let deliveries = Statement::new("UPDATE alert_deliveries SET customer_id = $1 WHERE customer_id = $2");
    for statement in [alerts, deliveries] {
        B::run::<()>(tx, statement.bind(into).bind(from)).await?;
    }
    Ok(())
}
