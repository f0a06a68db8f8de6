//! Insight: the facts of customers, their segments, key figures and reports, computed from stored interactions.

use std::sync::Arc;

use tally_model::insight::InsightSpec;
use tally_store::Store;

use crate::{catalog::ModelCatalog, histories::Histories, platform::clock::Clock, scoring::Scoring};

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
