//! Changes: a log of the writes of customers and interactions, which servers on the same database poll to drop
//! what they cache of these customers.

use async_trait::async_trait;

use crate::error::Result;

/// A write of customers or interactions.
#[derive(Clone, Debug)]
pub struct Change {
    /// 1, 2, 3, …; assigned before the write is committed, so that a lower number may appear later.
    pub change_id: i64,
    /// The customers written; empty when this very store wrote.
    pub customer_ids: Vec<String>,
    /// Whether customers were merged, or merged ones erased; false when this very store wrote.
    pub merges: bool,
    /// Whether customers were erased, whose ids are not noted; false when this very store wrote.
    pub erasure: bool,
}

/// Reads and prunes the log of changes.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait ChangeStore: Send + Sync {
    /// Returns the greatest number of a change, 0 when there is none.
    async fn last_change(&self) -> Result<i64>;
    /// Returns changes with a number above `after` or among `also`, ordered by number. One call returns a limited
    /// number of them; the caller asks again for the rest.
    async fn changes(&self, after: i64, also: &[i64]) -> Result<Vec<Change>>;
    /// Removes the changes up to this number, inclusive.
    async fn prune_changes(&self, up_to: i64) -> Result<()>;
}
