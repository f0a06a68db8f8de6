//! Histories: a customer's interactions and attribute versions, in order. They are read from a packed copy where
//! there is one, and from their rows otherwise.

use async_trait::async_trait;
use tally_model::history::Packed;

use crate::error::Result;

/// Reads and packs histories.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait HistoryStore: Send + Sync {
    /// Returns the histories of these customers in the order asked, None for an unknown customer.
    async fn histories(&self, customer_ids: &[String]) -> Result<Vec<Option<Packed>>>;
    /// Returns at most `limit` ids above `after` of customers without a packed history, in byte order.
    async fn unpacked(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// Stores the packed histories of these customers and returns the number of customers packed; skips customers
    /// with a write in progress.
    async fn pack(&self, customer_ids: Vec<String>) -> Result<usize>;
}
