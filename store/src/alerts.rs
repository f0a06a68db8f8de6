//! Alerts: what rules found, who has seen it, and how far its delivery is.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::{
    insight::alert::{AlertKind, CustomerChange, Finding},
    spec::Target,
    time::Time,
};

use crate::{error::Result, insights::MemberCursor};

/// What a rule found.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlert {
    /// Our id of it, which no other has.
    pub alert_id: String,
    /// The customer; None unless it is about one.
    pub customer_id: Option<String>,
    /// The model or the kind of interaction; empty for a customer.
    pub subject: String,
    /// The name of the rule.
    pub rule: String,
    /// What the rule is about.
    pub kind: AlertKind,
    /// What caused it: no second alert of the rule has the same cause.
    pub cause: String,
    /// The moment that it is about.
    pub as_of: Time,
    /// Why the rule alerts.
    pub finding: Finding,
}

/// Somebody has seen an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When.
    pub time: Time,
    /// Who, in their own words.
    pub who: String,
    /// What they say about it; may be empty.
    pub note: String,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// It is to be delivered.
    Pending,
    /// The receiver has confirmed it.
    Delivered,
    /// It was tried for a day, in vain.
    Parked,
}

impl DeliveryState {
    /// All states.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Parked];

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
        }
    }
}

/// The delivery of an alert by webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i64,
    /// Why the last try failed; empty when it did not.
    pub last_error: String,
    /// When it was tried first.
    pub first_attempt: Option<Time>,
    /// When it is tried next, if it is pending.
    pub next_attempt: Time,
    /// When the receiver confirmed it.
    pub deliver_time: Option<Time>,
}

/// A stored alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What the rule found.
    pub found: NewAlert,
    /// Its place in the order in which alerts become visible.
    pub sequence: i64,
    /// When it was stored.
    pub create_time: Time,
    /// Who has seen it.
    pub acknowledgement: Option<Acknowledgement>,
    /// Its delivery; None when alerts were not delivered when it was stored.
    pub delivery: Option<Delivery>,
}

/// Selects alerts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AlertFilter {
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those of this kind, by its name.
    pub kind: Option<&'static str>,
    /// Only those about this customer.
    pub customer_id: Option<String>,
    /// Only those that somebody has seen, or that nobody has.
    pub acknowledged: Option<bool>,
    /// Only those whose delivery is in this state.
    pub delivery: Option<DeliveryState>,
}

/// How a try to deliver an alert ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The receiver has confirmed it.
    Delivered,
    /// It is tried again at this time.
    Retry {
        /// When.
        at: Time,
        /// Why it failed.
        error: String,
    },
    /// It is not tried again.
    Parked {
        /// Why it failed.
        error: String,
    },
}

/// A time during which nobody else tries what was claimed.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Who has it: a name that no other server has.
    pub owner: String,
    /// Now, by the clock of the server: what is due by then may be claimed.
    pub now: Time,
    /// How long it lasts. The clock of the database measures that, since those of two servers differ.
    pub length: Duration,
}

/// A pass that no rule has looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwatchedPass {
    /// The pass.
    pub pass_id: i64,
    /// The moment that it is about.
    pub as_of: Time,
    /// The pass that rules looked at before, about an earlier moment; None when there is none.
    pub before: Option<i64>,
}

/// Which complaints are looked through.
#[derive(Clone, Copy, Debug)]
pub struct ComplaintQuery {
    /// Those that happened after this moment,
    pub after: Time,
    /// and up to this one.
    pub until: Time,
    /// Only those that are news; None for all.
    pub news: Option<ComplaintNews>,
}

/// What nobody has looked at before.
#[derive(Clone, Copy, Debug)]
pub struct ComplaintNews {
    /// Complaints that happened after this moment,
    pub after: Time,
    /// and those that were recorded after this one.
    pub recorded_after: Time,
}

/// A complaint that no resolution under the same id has followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenComplaint {
    /// The customer under whose id it was recorded.
    pub customer_id: String,
    /// The caller's id of it.
    pub interaction_id: String,
    /// When it happened.
    pub occur_time: Time,
    /// Whether the customer was merged, so that other ids may have its resolution.
    pub merged: bool,
}

/// A model that the gate did not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromotionRefusal {
    /// What the model predicts.
    pub target: Target,
    /// Its version.
    pub model_version: i64,
    /// The machine-readable reason.
    pub reason: String,
    /// When it was refused for that reason first.
    pub refuse_time: Time,
}

/// Stores and reads alerts.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait AlertStore: Send + Sync {
    /// Leaves out the alerts whose cause has one of the rule already, or another one of these.
    async fn without_known_causes(&self, alerts: Vec<NewAlert>) -> Result<Vec<NewAlert>>;
    /// Stores alerts, and their deliveries if `deliver`; alerts about a merged customer become those of its survivor.
    /// Leaves out those whose cause has an alert of the rule, and those about customers who do not exist any more.
    /// Returns the kinds of those that were stored.
    async fn insert_alerts(&self, alerts: Vec<NewAlert>, now: Time, deliver: bool) -> Result<Vec<AlertKind>>;
    /// Returns at most `limit` alerts, newest first, before the one with this sequence.
    async fn alerts(&self, filter: &AlertFilter, before: Option<i64>, limit: usize) -> Result<Vec<Alert>>;
    /// Returns the number of alerts that pass the filter.
    async fn count_alerts(&self, filter: &AlertFilter) -> Result<u64>;
    /// Returns at most `limit` alerts with a sequence above `after`, in that order. None with a lower sequence appears
    /// later.
    async fn alerts_after(&self, after: i64, limit: usize) -> Result<Vec<Alert>>;
    /// Returns the sequence that no later alert has, nor any before it.
    async fn last_alert(&self) -> Result<i64>;
    /// Notes who has seen an alert, unless somebody had before. Returns the alert as it is then; None for an unknown one.
    async fn acknowledge_alert(&self, alert_id: &str, seen: Acknowledgement) -> Result<Option<Alert>>;
}

/// Finds what is to be delivered.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait AlertDeliveryStore: Send + Sync {
    /// Leases at most `limit` alerts whose delivery is due, of each customer the first one that is pending; those that
    /// have been due for longest first.
    async fn claim_deliveries(&self, lease: Lease, limit: usize) -> Result<Vec<Alert>>;
    /// Stores how the try of `owner` to deliver an alert ended, if it still has the lease.
    async fn finish_delivery(
        &self,
        alert_id: &str,
        owner: &str,
        result: DeliveryResult,
        now: Time,
    ) -> Result<()>;
    /// Returns the numbers of deliveries that are pending and parked.
    async fn count_deliveries(&self) -> Result<(u64, u64)>;
}

/// Reads what rules look at.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait AlertSourceStore: Send + Sync {
    /// Returns the latest of the passes that are kept and not about the future, unless rules have looked at it.
    async fn unwatched_pass(&self) -> Result<Option<UnwatchedPass>>;
    /// Returns what at most `limit` customers of a pass are and were, with their places in the order of falling net
    /// revenue and id, those after `after`.
    ///
    /// # Errors
    /// [`StoreError::Aborted`](crate::StoreError::Aborted) when the earlier pass was removed meanwhile.
    async fn customer_changes(
        &self,
        pass: UnwatchedPass,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Vec<(MemberCursor, CustomerChange)>>;
    /// Notes that rules have looked at a pass.
    async fn mark_watched(&self, pass_id: i64) -> Result<()>;
    /// Returns at most `limit` complaints, those after `after` in the order of their times, customers and ids.
    async fn open_complaints(
        &self,
        query: ComplaintQuery,
        after: Option<&OpenComplaint>,
        limit: usize,
    ) -> Result<Vec<OpenComplaint>>;
    /// Returns whether an interaction of this kind was recorded after `since`.
    async fn has_kind_since(&self, kind: &str, since: Time) -> Result<bool>;
    /// Returns when the last interaction of this kind was recorded; reads all interactions.
    async fn last_of_kind(&self, kind: &str) -> Result<Option<Time>>;
    /// Notes that the gate refused a model, unless it refused it for the same reason before.
    async fn note_refusal(&self, refusal: PromotionRefusal) -> Result<()>;
    /// Returns the refusals since a time.
    async fn refusals(&self, since: Time) -> Result<Vec<PromotionRefusal>>;
}
