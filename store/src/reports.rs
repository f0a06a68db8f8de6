//! Reports: sums over interactions by period.

use async_trait::async_trait;
use tally_model::time::Time;

use crate::error::Result;

/// Computes reports.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Returns when the first purchase happened; None before there is one.
    async fn first_purchase_time(&self) -> Result<Option<Time>>;
}
