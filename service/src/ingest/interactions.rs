//! Interactions: recorded and listed.

use std::{collections::HashSet, sync::Arc};

use tally_model::time::Time;
use tally_store::{Interaction, Recorded};

use super::{Ingest, PendingWrite};
use crate::platform::error::{Error, Result};

/// Interactions that are stored together, all or none.
pub struct InteractionBatch {
    interactions: Vec<Interaction>,
    customer_ids: Vec<String>,
}

impl InteractionBatch {
    /// Finds out whose the interactions are, which takes about a millisecond for 10,000 of them.
    #[must_use]
    pub fn new(interactions: Vec<Interaction>) -> Self {
        let ids: HashSet<&str> = interactions.iter().map(|item| item.customer_id.as_str()).collect();
        let customer_ids = ids.into_iter().map(str::to_owned).collect();
        Self { interactions, customer_ids }
    }
}

impl Ingest {
    /// Stores a batch of interactions.
    ///
    /// # Errors
    /// ALREADY_EXISTS when one of the keys is stored with other content; when the store fails.
    pub async fn record_interactions(
        &self,
        pending: PendingWrite,
        batch: InteractionBatch,
    ) -> Result<Recorded> {
        let InteractionBatch { interactions, customer_ids } = batch;
        let store = Arc::clone(&self.store);
        let record = async move { store.record_interactions(interactions).await };
        self.run(pending.write, customer_ids, record).await
    }

    /// At most `limit` interactions of a customer, newest first, behind `after` (time and id).
    ///
    /// # Errors
    /// NOT_FOUND when the customer is not stored; when the store fails.
    pub async fn interactions(
        &self,
        customer_id: &str,
        after: Option<(Time, String)>,
        limit: usize,
    ) -> Result<Vec<Interaction>> {
        let found = self.store.interactions(customer_id, after, limit).await?;
        if found.is_empty() && self.store.customer(customer_id).await?.is_none() {
            return Err(Error::unknown_customer(customer_id));
        }
        Ok(found)
    }
}
