//! The audit log. One row has its end and stays locked while an event is appended, so that events of several servers
//! make one chain. Events are appended after everything else that a transaction locks.

use async_trait::async_trait;
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use super::{Backend, Engine, Stamp, Statement, Transaction, transaction::repeatable};
use crate::{
    audit::{Actor, AuditEvent, AuditFilter, AuditHead, AuditStore, NewAuditEvent},
    error::{Result, StoreError},
};

const SELECT_EVENTS: &str = "SELECT sequence, event_time, caller, request_id, action, subject, customer_hash, \
     outcome, count, hash FROM audit_log WHERE true";

#[derive(FromRow)]
struct EventRow {
    sequence: i64,
    event_time: Stamp,
    caller: String,
    request_id: String,
    action: String,
    subject: String,
    customer_hash: Vec<u8>,
    outcome: String,
    count: i64,
    hash: Vec<u8>,
}

impl From<EventRow> for AuditEvent {
    fn from(row: EventRow) -> Self {
        Self {
            sequence: row.sequence,
            time: row.event_time.0,
            by: Actor { name: row.caller, request_id: row.request_id },
            action: row.action,
            subject: row.subject,
            customer_hash: row.customer_hash,
            outcome: row.outcome,
            count: row.count,
            hash: row.hash,
        }
    }
}

/// The hash of an event that follows the one with the hash `previous`.
fn hash(previous: &[u8], event: &AuditEvent) -> Vec<u8> {
    let mut hash = Sha256::new().chain_update(previous);
    for number in [event.sequence, event.time.0, event.count] {
        hash.update(number.to_be_bytes());
    }
    let texts = [&event.by.name, &event.by.request_id, &event.action, &event.subject].map(String::as_bytes);
    for bytes in texts.into_iter().chain([event.customer_hash.as_slice(), event.outcome.as_bytes()]) {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    }
    hash.finalize().to_vec()
}

/// Appends events to the log, as the last but one thing that a transaction does.
pub(super) async fn append<E: Engine>(
    store: &E,
    tx: &mut Transaction<E>,
    events: Vec<NewAuditEvent>,
) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let lock = Statement::new(
        "UPDATE audit_head SET sequence = sequence + $1 WHERE head = 1 RETURNING sequence, hash",
    )
    .bind(events.len() as i64);
    let end: Option<(i64, Vec<u8>)> = E::run(tx, lock).await?.pop();
    let (last, mut previous) =
        end.ok_or_else(|| StoreError::Internal("the end of the audit log is gone".to_owned()))?;
    for (new, sequence) in events.iter().zip(last - events.len() as i64 + 1..) {
        let customer_hash = new.customer_id.as_deref().map(|id| store.customer_key().hash(id));
        let mut event = AuditEvent {
            sequence,
            time: new.time,
            by: new.by.clone(),
            action: new.action.clone(),
            subject: new.subject.clone(),
            customer_hash: customer_hash.unwrap_or_default(),
            outcome: new.outcome.clone(),
            count: new.count,
            hash: Vec::new(),
        };
        event.hash = hash(&previous, &event);
        E::run::<()>(tx, insert(&event)).await?;
        previous = event.hash;
    }
    let set = Statement::new("UPDATE audit_head SET hash = $1 WHERE head = 1").bind(previous.as_slice());
    E::run::<()>(tx, set).await?;
    Ok(())
}

fn insert(event: &AuditEvent) -> Statement {
    Statement::new(
        "INSERT INTO audit_log (sequence, event_time, caller, request_id, action, subject, customer_hash, outcome, \
         count, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(event.sequence)
    .bind(event.time)
    .bind(event.by.name.as_str())
    .bind(event.by.request_id.as_str())
    .bind(event.action.as_str())
    .bind(event.subject.as_str())
    .bind(event.customer_hash.as_slice())
    .bind(event.outcome.as_str())
    .bind(event.count)
    .bind(event.hash.as_slice())
}

/// Appends that an event is about the customer of the filter.
fn push_filter<E: Engine>(store: &E, statement: &mut Statement, filter: &AuditFilter) {
    if let Some(customer_id) = &filter.customer_id {
        let hash = store.customer_key().hash(customer_id);
        statement.push(" AND customer_hash = ").push_bind(hash.as_slice());
    }
}

#[async_trait]
impl<B: Backend> AuditStore for B {
    async fn append_audit(&self, events: Vec<NewAuditEvent>) -> Result<()> {
        repeatable(self, (self.clone(), events), |shared| async move {
            let (store, events) = &*shared;
            let mut tx = store.begin().await?;
            append(store, &mut tx, events.clone()).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn audit_events(
        &self,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>> {
        let mut select = Statement::new(SELECT_EVENTS);
        push_filter(self, &mut select, filter);
        let (beyond, order) = match filter.oldest_first {
            true => (" AND sequence > ", " ORDER BY sequence LIMIT "),
            false => (" AND sequence < ", " ORDER BY sequence DESC LIMIT "),
        };
        if let Some(after) = after {
            select.push(beyond).push_bind(after);
        }
        select.push(order).push_bind(limit as i64);
        Ok(self.read::<EventRow>(select).await?.into_iter().map(AuditEvent::from).collect())
    }

    async fn count_audit_events(&self, filter: &AuditFilter) -> Result<u64> {
        let mut select = Statement::new("SELECT count(*) FROM audit_log WHERE true");
        push_filter(self, &mut select, filter);
        self.count(select).await
    }

    async fn audit_head(&self) -> Result<AuditHead> {
        let head =
            self.read_one(Statement::new("SELECT sequence, hash FROM audit_head WHERE head = 1")).await?;
        head.map(|(sequence, hash)| AuditHead { sequence, hash })
            .ok_or_else(|| StoreError::Internal("the end of the audit log is gone".to_owned()))
    }
}
