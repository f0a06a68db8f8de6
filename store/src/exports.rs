//! Exports of one customer: the rows of tables that have no type of their own here.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::error::Result;

/// A table with rows of customers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportTable {
    /// The record as it is.
    Customers,
    /// The record as it was.
    CustomerVersions,
    /// Interactions that do not count any more.
    RetractedInteractions,
    /// The facts of each pass.
    CustomerInsights,
    /// What was handed out to act on.
    WorklistEpisodes,
    /// What models said of the customer when they were evaluated.
    HoldoutScores,
    /// The deliveries of its alerts.
    AlertDeliveries,
}

impl ExportTable {
    /// All of them, in the order of an export.
    pub const ALL: [Self; 7] = [
        Self::Customers,
        Self::CustomerVersions,
        Self::RetractedInteractions,
        Self::CustomerInsights,
        Self::WorklistEpisodes,
        Self::HoldoutScores,
        Self::AlertDeliveries,
    ];

    /// Its name in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::CustomerVersions => "customer_versions",
            Self::RetractedInteractions => "retracted_interactions",
            Self::CustomerInsights => "customer_insights",
            Self::WorklistEpisodes => "worklist_episodes",
            Self::HoldoutScores => "holdout_scores",
            Self::AlertDeliveries => "alert_deliveries",
        }
    }
}

/// Reads the rows of one customer.
#[async_trait]
pub trait ExportStore: Send + Sync {
    /// Returns at most `limit` rows of a table that are stored under this id, in the order of its key, without the
    /// first `offset`. Columns are by name; times are texts in RFC 3339.
    ///
    /// # Errors
    /// When the database fails.
    async fn export_rows(
        &self,
        table: ExportTable,
        customer_id: &str,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<Map<String, Value>>>;
}
