//! Interactions: recorded, retracted and listed.

use std::{collections::HashSet, sync::Arc};

use tally_store::{
    Actor, Interaction, InteractionCursor, InteractionKey, ListedInteraction, OnConflict, RecordOptions,
    Recorded, Retracted,
};

use super::{Ingest, PendingWrite};
use crate::{listing::ENDING_KINDS, platform::error::Result};

/// From this number of late interactions on, a batch that is mostly late is logged.
const MANY_LATE: usize = 10;

/// Interactions that are stored together, all or none.
pub struct InteractionBatch {
    interactions: Vec<Interaction>,
    customer_ids: Vec<String>,
    /// Those whose eligibility the interactions may end.
    ending: Vec<String>,
    backfill: bool,
    on_conflict: OnConflict,
}

impl InteractionBatch {
    /// Finds out whose the interactions are, which takes about a millisecond for 10,000 of them. With `backfill` they
    /// are history from another system, and their record times are in the past.
    #[must_use]
    pub fn new(interactions: Vec<Interaction>, backfill: bool, on_conflict: OnConflict) -> Self {
        let ids: HashSet<&str> = interactions.iter().map(|item| item.customer_id.as_str()).collect();
        let customer_ids = ids.into_iter().map(str::to_owned).collect();
        let ends = |item: &&Interaction| ENDING_KINDS.contains(&item.kind.as_str());
        let ending: HashSet<&str> =
            interactions.iter().filter(ends).map(|item| item.customer_id.as_str()).collect();
        let ending = ending.into_iter().map(str::to_owned).collect();
        Self { interactions, customer_ids, ending, backfill, on_conflict }
    }
}

impl InteractionBatch {
    /// Whose the interactions are, each once.
    #[must_use]
    pub fn customer_ids(&self) -> &[String] {
        &self.customer_ids
    }
}

impl Ingest {
    /// Stores a batch of interactions, without those of erased customers.
    ///
    /// # Errors
    /// ALREADY_EXISTS when one of the keys is stored with other content and conflicts fail; when the store fails.
    pub async fn record_interactions(
        &self,
        pending: PendingWrite,
        batch: InteractionBatch,
    ) -> Result<Recorded> {
        let InteractionBatch { interactions, customer_ids, ending, backfill, on_conflict } = batch;
        let options = RecordOptions { record_time: pending.record_time, backfill, on_conflict };
        if backfill {
            self.begin_backfill(&customer_ids, pending.record_time);
        }
        let (store, listing, survivors) =
            (Arc::clone(&self.store), self.listing.clone(), self.histories.merges().among(&ending));
        let record = async move {
            let recorded = store.record_interactions(interactions, options).await?;
            let ending: Vec<String> = ending.into_iter().chain(survivors).collect();
            listing.review(&ending).await;
            Ok(recorded)
        };
        let recorded = self.run(pending.write, customer_ids, record).await?;
        self.late.inc_by(recorded.late as u64);
        if recorded.late >= MANY_LATE && recorded.late * 2 > recorded.recorded {
            tracing::warn!(
                late = recorded.late,
                recorded = recorded.recorded,
                "most of a batch happened more than a day ago and counts as known only from now on; history from \
                 another system is imported with backfill"
            );
        }
        Ok(recorded)
    }

    /// Retracts interactions, all or none.
    ///
    /// # Errors
    /// NOT_FOUND when one of them was never recorded; when the store fails.
    pub async fn retract_interactions(
        &self,
        pending: PendingWrite,
        keys: Vec<InteractionKey>,
        reason: String,
        by: Actor,
    ) -> Result<Retracted> {
        let PendingWrite { write, record_time } = pending;
        let ids: HashSet<String> = keys.iter().map(|key| key.customer_id.clone()).collect();
        let store = Arc::clone(&self.store);
        let retract = async move { store.retract_interactions(keys, record_time, reason, &by).await };
        self.run(write, ids.into_iter().collect(), retract).await
    }

    /// At most `limit` interactions of a customer and of all ids that are merged into it, newest first, behind
    /// `after`; with `retracted`, also the retracted ones.
    ///
    /// # Errors
    /// NOT_FOUND when the customer is not stored; when the store fails.
    pub async fn interactions(
        &self,
        customer_id: &str,
        after: Option<InteractionCursor>,
        limit: usize,
        retracted: bool,
    ) -> Result<Vec<ListedInteraction>> {
        let customer = self.customer(customer_id).await?;
        let mut found = Vec::new();
        for id in std::iter::once(customer.customer_id).chain(customer.merged_customer_ids) {
            found.extend(self.store.interactions(&id, after.clone(), limit, retracted).await?);
        }
        found.sort_by(|a, b| b.sort_key().cmp(&a.sort_key()));
        found.truncate(limit);
        Ok(found)
    }
}
