//! The removal of interactions that are older than they may be kept.

use async_trait::async_trait;
use tally_model::time::Time;

use crate::error::Result;

/// Which interactions are too old, by when they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InteractionExpiry {
    /// Kinds, each with the moment before which its interactions are too old.
    pub kinds: Vec<(String, Time)>,
    /// The same moment of all other kinds; None keeps them.
    pub others: Option<Time>,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovedInteractions {
    /// The number of interactions.
    pub removed: u64,
    /// The customers whose histories have changed.
    pub customer_ids: Vec<String>,
}

/// Removes interactions.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Returns at most `limit` ids above `after`, in byte order, also those that are merged into others.
    async fn stored_ids(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// Removes the interactions of these customers that are too old, and retracted ones, in small transactions.
    async fn remove_interactions(
        &self,
        customer_ids: &[String],
        expiry: &InteractionExpiry,
    ) -> Result<RemovedInteractions>;
}
