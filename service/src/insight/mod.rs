//! Insight: the facts of customers, their segments, key figures and reports, computed from stored interactions.

use std::sync::Arc;

use tally_model::{insight::InsightSpec, time::Time};
use tally_store::Store;

use crate::{
    catalog::ModelCatalog,
    histories::Histories,
    platform::{clock::Clock, error::Result},
    scoring::Scoring,
};

/// Answers what is asked about customers. Clones share everything.
#[derive(Clone)]
pub struct Insights {
    pub(super) store: Arc<dyn Store>,
    pub(super) catalog: ModelCatalog,
    pub(super) histories: Histories,
    pub(super) scoring: Scoring,
    pub(super) clock: Arc<Clock>,
    pub(super) spec: Arc<InsightSpec>,
}

impl Insights {
    /// Answers from `store` and the histories, with the champions of `catalog`, by the definitions of `spec`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        (catalog, histories): (ModelCatalog, Histories),
        scoring: Scoring,
        clock: Arc<Clock>,
        spec: InsightSpec,
    ) -> Self {
        Self { store, catalog, histories, scoring, clock, spec: Arc::new(spec) }
    }

    /// When the first purchase happened; None before there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn first_purchase(&self) -> Result<Option<Time>> {
        Ok(self.store.first_purchase_time().await?)
    }
}
