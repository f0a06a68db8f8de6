//! Populations: the last complete scoring of all customers by a model, as counts.

use async_trait::async_trait;
use tally_model::{evaluation::drift::Counts, spec::Target, time::Time};

use crate::error::Result;

/// A completely scored population, as counts.
#[derive(Clone, Debug)]
pub struct ScoredPopulation {
    /// What is predicted.
    pub target: Target,
    /// The version of the model.
    pub model_version: i64,
    /// The moment the scores are about.
    pub as_of: Time,
    /// When the run ended.
    pub score_time: Time,
    /// The distribution of the customers.
    pub counts: Counts,
}

/// Stores and reads scored populations.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait PopulationStore: Send + Sync {
    /// Stores a scored population as the last one of its model, unless a later one is stored.
    async fn insert_population(&self, population: ScoredPopulation) -> Result<()>;
    /// Returns the last scored population of a model.
    async fn population(&self, target: Target, version: i64) -> Result<Option<ScoredPopulation>>;
}
