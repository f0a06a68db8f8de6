//! Merges: ids that are one person. Rows stay with the id that they were stored under; reading the history of the id
//! that survives unites them.

use async_trait::async_trait;
use tally_model::time::Time;

use crate::{audit::Actor, error::Result};

/// What became of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeResult {
    /// Both ids are this customer now.
    Merged {
        /// The id that stays.
        survivor: String,
    },
    /// They were this customer before, and nothing has changed.
    Unchanged {
        /// The id that stays.
        survivor: String,
    },
    /// There is no such customer.
    Unknown {
        /// The id.
        customer_id: String,
    },
    /// An earlier merge contradicts this one.
    Contradiction {
        /// The id that is merged already.
        merged: String,
        /// The customer that it is.
        survivor: String,
    },
}

/// Merges customers.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait MergeStore: Send + Sync {
    /// Merges the customer `from` into `into`, or into what that is merged into, from `now` on: their histories count
    /// as one, `into` gets a version with the attributes that it lacks and the earlier `create_time`, and `from` has no
    /// latest prediction any more. The two ids differ.
    async fn merge_customers(&self, from: &str, into: &str, now: Time, by: &Actor) -> Result<MergeResult>;
    /// Returns all ids that are merged, each with the customer that it is.
    async fn merges(&self) -> Result<Vec<(String, String)>>;
}
