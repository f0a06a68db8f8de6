//! The audit log: who did what, as a chain of hashes.
//!
//! The hash of an event is SHA-256 of the hash of the event before (32 zero bytes before the first) and of its fields:
//! sequence, time in microseconds since 1970 and count as 8 bytes, most significant first; then caller, request id,
//! action, subject, customer hash and outcome, each preceded by its length in bytes as such a number.

use async_trait::async_trait;
use tally_model::time::Time;

use crate::error::Result;

/// On whose behalf something is done, and by which call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The caller that the credentials of the call name, where callers are checked, and what is known besides.
    pub name: String,
    /// The id of the call; empty when no call asked for it.
    pub request_id: String,
}

/// An event on its way into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEvent {
    /// When it happened.
    pub time: Time,
    /// Who did it.
    pub by: Actor,
    /// The RPC, or what a server did by itself.
    pub action: String,
    /// What it was done to, if that is no customer; may be empty.
    pub subject: String,
    /// The customer that it was done to. Only a keyed hash of it is stored.
    pub customer_id: Option<String>,
    /// `OK`, or a gRPC code.
    pub outcome: String,
    /// How many calls, or rows, it stands for.
    pub count: i64,
}

impl NewAuditEvent {
    /// An act that succeeded.
    #[must_use]
    pub fn done(time: Time, by: &Actor, action: &str) -> Self {
        Self {
            time,
            by: by.clone(),
            action: action.to_owned(),
            subject: String::new(),
            customer_id: None,
            outcome: "OK".to_owned(),
            count: 1,
        }
    }

    /// The same about this customer.
    #[must_use]
    pub fn about_customer(self, customer_id: &str) -> Self {
        Self { customer_id: Some(customer_id.to_owned()), ..self }
    }

    /// The same about something that is no customer.
    #[must_use]
    pub fn about(self, subject: impl Into<String>) -> Self {
        Self { subject: subject.into(), ..self }
    }
}

/// A stored event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    /// 1, 2, 3, …
    pub sequence: i64,
    /// When it happened, by the clock of the server.
    pub time: Time,
    /// Who did it.
    pub by: Actor,
    /// The RPC, or what a server did by itself.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// HMAC-SHA-256 of the customer's id with the key of the database; empty if it is not about one customer.
    pub customer_hash: Vec<u8>,
    /// `OK`, or a gRPC code.
    pub outcome: String,
    /// How many calls, or rows, it stands for.
    pub count: i64,
    /// The hash of this event and all before.
    pub hash: Vec<u8>,
}

/// Which events are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only those about this customer.
    pub customer_id: Option<String>,
    /// In the order of the log, not newest first.
    pub oldest_first: bool,
}

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The number of the last event, 0 when there is none.
    pub sequence: i64,
    /// Its hash.
    pub hash: Vec<u8>,
}

/// Writes and reads the audit log. What a transaction of another trait does is noted within that transaction.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Appends events in one transaction.
    async fn append_audit(&self, events: Vec<NewAuditEvent>) -> Result<()>;
    /// Returns at most `limit` events behind the one with the sequence `after`, in the order of the filter.
    async fn audit_events(
        &self,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>>;
    /// Returns the number of events that pass the filter.
    async fn count_audit_events(&self, filter: &AuditFilter) -> Result<u64>;
    /// Returns the end of the log.
    async fn audit_head(&self) -> Result<AuditHead>;
}
