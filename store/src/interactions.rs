//! Interactions: what happened between a customer and the business.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::time::Time;

use crate::{audit::Actor, error::Result};

/// An interaction. `(customer_id, interaction_id)` is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// The customer it belongs to.
    pub customer_id: String,
    /// The caller's id, unique per customer.
    pub interaction_id: String,
    /// `purchase`, `visit`, …: an open vocabulary.
    pub kind: String,
    /// When it happened.
    pub occur_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// Money in minor units of the deployment's currency.
    pub amount_minor: Option<i64>,
    /// Where it happened; may be empty.
    pub channel: String,
    /// Further facts by name.
    pub properties: BTreeMap<String, String>,
}

impl Interaction {
    /// Whether both have the same key and content. The record time is not content.
    pub(crate) fn same_content(&self, other: &Self) -> bool {
        let Self { kind, occur_time, record_time: _, amount_minor, channel, properties, .. } = self;
        self.key() == other.key()
            && (kind, occur_time, amount_minor) == (&other.kind, &other.occur_time, &other.amount_minor)
            && (channel, properties) == (&other.channel, &other.properties)
    }

    pub(crate) fn key(&self) -> (&str, &str) {
        (&self.customer_id, &self.interaction_id)
    }
}

/// What to do with an interaction whose key is stored with different content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Refuse the batch.
    #[default]
    Fail,
    /// Keep the stored one.
    Skip,
    /// Retract the stored one and record the new one.
    Correct,
}

/// How a batch of interactions is recorded.
#[derive(Clone, Copy, Debug)]
pub struct RecordOptions {
    /// When the batch reached the service. Corrections are recorded, and predictions marked, at this time.
    pub record_time: Time,
    /// Whether the interactions are history from another system. Their record times are then in the past, and those
    /// of duplicates move back to them.
    pub backfill: bool,
    /// What to do with different content under a stored key.
    pub on_conflict: OnConflict,
}

impl RecordOptions {
    /// Interactions that reach the service at this time; conflicts fail.
    #[must_use]
    pub const fn new(record_time: Time) -> Self {
        Self { record_time, backfill: false, on_conflict: OnConflict::Fail }
    }
}

/// The result of recording a batch of interactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The number of new interactions.
    pub recorded: usize,
    /// The number of interactions that were stored before with the same content.
    pub duplicates: usize,
    /// The number of new interactions that replaced others; they are part of `recorded`.
    pub corrected: usize,
    /// The number of interactions that were left out because their key is stored with different content.
    pub skipped: usize,
    /// The number of new interactions that happened more than a day before `record_time`, without `backfill`.
    pub late: usize,
    /// The number of duplicates whose record time has moved back.
    pub moved: usize,
    /// The number of stored predictions whose past has changed.
    pub outdated_predictions: usize,
    /// The number of interactions that were left out since their customers were erased.
    pub erased: usize,
}

/// The key of an interaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InteractionKey {
    /// The customer it belongs to.
    pub customer_id: String,
    /// The caller's id.
    pub interaction_id: String,
}

/// The result of retracting interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retracted {
    /// The number of interactions that do not count any more.
    pub retracted: usize,
    /// The number of keys that had been retracted before, or that occur again in the request.
    pub already_retracted: usize,
}

/// An interaction in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInteraction {
    /// The interaction.
    pub interaction: Interaction,
    /// From when on it does not count any more, if it is retracted.
    pub retract_time: Option<Time>,
}

impl ListedInteraction {
    /// What lists are ordered by, the greatest first: when it happened, its id and customer, and when it was retracted.
    #[must_use]
    pub fn sort_key(&self) -> (Time, &str, &str, Time) {
        let Interaction { occur_time, interaction_id, customer_id, .. } = &self.interaction;
        (*occur_time, interaction_id, customer_id, self.retract_time.unwrap_or(Time::MAX))
    }
}

/// The last interaction of a page; the next page begins after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InteractionCursor {
    /// When it happened.
    pub occur_time: Time,
    /// Its id.
    pub interaction_id: String,
    /// Its customer: several that are merged may have the same interaction id.
    pub customer_id: String,
    /// When it was retracted, if it is.
    pub retract_time: Option<Time>,
}

impl InteractionCursor {
    /// The cursor of a page that ends with this interaction.
    #[must_use]
    pub fn new(last: &ListedInteraction) -> Self {
        Self {
            occur_time: last.interaction.occur_time,
            interaction_id: last.interaction.interaction_id.clone(),
            customer_id: last.interaction.customer_id.clone(),
            retract_time: last.retract_time,
        }
    }
}

/// Records, retracts and reads interactions.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait InteractionStore: Send + Sync {
    /// Stores interactions, all or none. The first interaction of an unknown customer creates the customer; those of
    /// erased customers are left out.
    ///
    /// A key whose last content was retracted is free: other content is recorded, the same content is a duplicate,
    /// except with [`OnConflict::Correct`].
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::StoreError::AlreadyExists) when a key is stored, or occurs twice in the batch, with
    /// different content, and the options do not allow that.
    async fn record_interactions(
        &self,
        interactions: Vec<Interaction>,
        options: RecordOptions,
    ) -> Result<Recorded>;
    /// Retracts interactions, all or none, from `retract_time` on.
    ///
    /// # Errors
    /// [`NotFound`](crate::StoreError::NotFound) when one of them was never recorded.
    async fn retract_interactions(
        &self,
        keys: Vec<InteractionKey>,
        retract_time: Time,
        reason: String,
        by: &Actor,
    ) -> Result<Retracted>;
    /// Returns at most `limit` interactions of a customer, newest first, behind `after`; with `retracted`, also the
    /// retracted ones.
    async fn interactions(
        &self,
        customer_id: &str,
        after: Option<InteractionCursor>,
        limit: usize,
        retracted: bool,
    ) -> Result<Vec<ListedInteraction>>;
}
