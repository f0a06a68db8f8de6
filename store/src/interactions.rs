//! Interactions: what happened between a customer and the business.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tally_model::time::Time;

use crate::error::Result;

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

/// The result of recording a batch of interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The number of new interactions.
    pub recorded: usize,
    /// The number of interactions that were stored before with the same content.
    pub duplicates: usize,
}

/// Records and reads interactions.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait InteractionStore: Send + Sync {
    /// Stores interactions, all or none. The first interaction of an unknown customer creates the customer.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::StoreError::AlreadyExists) when a key is stored, or occurs twice in the batch, with
    /// different content.
    async fn record_interactions(&self, interactions: Vec<Interaction>) -> Result<Recorded>;
    /// Returns at most `limit` interactions of a customer, newest first, older than `after` (time and id of an
    /// interaction).
    async fn interactions(
        &self,
        customer_id: &str,
        after: Option<(Time, String)>,
        limit: usize,
    ) -> Result<Vec<Interaction>>;
}
