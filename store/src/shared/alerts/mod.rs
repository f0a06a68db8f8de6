//! Alerts.
//!
//! The numbers that order them come from one row, which the transaction of an alert locks until it commits: so the
//! numbers become visible in their order, and who has read up to one has missed none.

mod deliveries;
mod rows;
mod sources;

use std::collections::{BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use tally_model::{insight::alert::AlertKind, time::Time};

use super::{
    Backend, Statement, Transaction,
    merges::survivor,
    transaction::{detached, repeatable},
};
use crate::{
    alerts::{Acknowledgement, Alert, AlertFilter, AlertStore, NewAlert},
    error::{Result, StoreError},
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

/// Locks the customers of alerts, in the order of their ids, against being erased and merged; returns the survivor of
/// each that exists.
async fn locked<B: Backend>(tx: &mut Transaction<B>, alerts: &[NewAlert]) -> Result<HashMap<String, String>> {
    let ids: BTreeSet<&str> = alerts.iter().filter_map(|alert| alert.customer_id.as_deref()).collect();
    let mut survivors = HashMap::new();
    for id in ids {
        if let Some(survivor) = survivor::<B>(tx, id).await? {
            survivors.insert(id.to_owned(), survivor);
        }
    }
    let ends: BTreeSet<String> = survivors.values().cloned().collect();
    for end in &ends {
        B::lock_customer(tx, end).await?;
        // It may have been merged before it was locked.
        if survivor::<B>(tx, end).await?.as_ref() != Some(end) {
            return Err(StoreError::Aborted);
        }
    }
    Ok(survivors)
}

/// Appends a value that may be absent.
fn push_number(statement: &mut Statement, number: Option<f64>) {
    match number {
        Some(number) => statement.push_bind(number),
        None => statement.push("NULL"),
    };
}

/// Stores one alert with this sequence; returns whether its cause had none.
async fn insert<B: Backend>(
    tx: &mut Transaction<B>,
    (alert, customer_id): (&NewAlert, &str),
    sequence: i64,
    (now, deliver): (Time, bool),
) -> Result<bool> {
    let mut insert = Statement::new(
        "INSERT INTO alerts (customer_id, alert_id, sequence, rule, kind, subject, cause, as_of_time, create_time, \
         message, value, previous_value, limit_value) VALUES (",
    );
    insert.push_bind(customer_id).push(", ").push_bind(alert.alert_id.as_str()).push(", ");
    insert.push_bind(sequence).push(", ").push_bind(alert.rule.as_str()).push(", ");
    insert.push_bind(alert.kind.name()).push(", ").push_bind(alert.subject.as_str()).push(", ");
    insert.push_bind(alert.cause.as_str()).push(", ").push_bind(alert.as_of).push(", ");
    insert.push_bind(now).push(", ").push_bind(alert.finding.message.as_str());
    for number in [alert.finding.value, alert.finding.previous, alert.finding.limit] {
        insert.push(", ");
        push_number(&mut insert, number);
    }
    insert.push(") ON CONFLICT (rule, cause, customer_id) DO NOTHING RETURNING 1");
    let stored = !B::run::<()>(tx, insert).await?.is_empty();
    if stored && deliver {
        let delivery = Statement::new(
            "INSERT INTO alert_deliveries (customer_id, alert_id, sequence, state, attempts, last_error, \
             next_attempt_time, lease_owner, lease_until) VALUES ($1, $2, $3, 'pending', 0, '', $4, '', $5)",
        )
        .bind(customer_id)
        .bind(alert.alert_id.as_str())
        .bind(sequence)
        .bind(now)
        .bind(now);
        B::run::<()>(tx, delivery).await?;
    }
    Ok(stored)
}

/// Stores alerts in one transaction.
async fn insert_all<B: Backend>(store: &B, alerts: &[NewAlert], at: (Time, bool)) -> Result<Vec<AlertKind>> {
    let mut tx = store.begin().await?;
    let survivors = locked::<B>(&mut tx, alerts).await?;
    let draw = Statement::new(
        "UPDATE alert_counter SET last_sequence = last_sequence + $1 WHERE counter = 1 RETURNING last_sequence",
    )
    .bind(alerts.len() as i64);
    let last = B::run::<(i64,)>(&mut tx, draw).await?.pop().map_or(0, |(last,)| last);
    let mut stored = Vec::new();
    for (alert, sequence) in alerts.iter().zip(last - alerts.len() as i64 + 1..) {
        let customer_id = match &alert.customer_id {
            None => "",
            Some(id) => match survivors.get(id) {
                Some(survivor) => survivor,
                None => continue,
            },
        };
        if insert::<B>(&mut tx, (alert, customer_id), sequence, at).await? {
            stored.push(alert.kind);
        }
    }
    tx.commit().await?;
    Ok(stored)
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
    async fn insert_alerts(&self, alerts: Vec<NewAlert>, now: Time, deliver: bool) -> Result<Vec<AlertKind>> {
        let alerts = without_known(self, alerts).await?;
        let mut stored = Vec::new();
        for part in alerts.chunks(STORED_AT_ONCE) {
            stored.extend(
                repeatable((self.clone(), part.to_vec()), move |shared| async move {
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
        detached(async move {
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
    let alerts = Statement::new("UPDATE alerts SET customer_id = $1 WHERE customer_id = $2");
    let deliveries = Statement::new("UPDATE alert_deliveries SET customer_id = $1 WHERE customer_id = $2");
    for statement in [alerts, deliveries] {
        B::run::<()>(tx, statement.bind(into).bind(from)).await?;
    }
    Ok(())
}
