//! Monitoring: how far a population has moved since training, and how past predictions turned out.

mod drift;
mod gauges;
mod health;
mod performance;

pub use drift::PopulationDrift;
pub use gauges::MonitoringGauges;
pub use health::{HealthReceiver, ModelHealth, ScoreDrift};
pub use performance::{MonthlyPerformance, PerformanceQuery};

use std::sync::Arc;

use tally_store::Store;

use crate::{catalog::ModelCatalog, platform::clock::Clock};

/// Monitors the models.
#[derive(Clone)]
pub struct Monitoring {
    store: Arc<dyn Store>,
    catalog: ModelCatalog,
    clock: Arc<Clock>,
}

impl Monitoring {
    /// Monitors the models of `catalog` by what is in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, catalog: ModelCatalog, clock: Arc<Clock>) -> Self {
        Self { store, catalog, clock }
    }
}
