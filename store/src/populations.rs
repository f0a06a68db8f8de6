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

/// A run over all customers of a partition.
#[derive(Clone, Copy, Debug)]
pub struct ScoringRun {
    /// What is predicted.
    pub target: Target,
    /// The version of the model.
    pub model_version: i64,
    /// The moment the scores are about.
    pub as_of: Time,
    /// When the run began, and the `score_time` of all its predictions.
    pub score_time: Time,
    /// The number of the partition, from 0, and that of all partitions.
    pub partition: (u32, u32),
}

/// Stores and reads scored populations.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait PopulationStore: Send + Sync {
    /// Notes that a run begins.
    async fn begin_scoring(&self, run: ScoringRun) -> Result<()>;
    /// Notes that a run has stored all its predictions, and removes those of runs about the same that have not ended,
    /// since they were interrupted, unless they are the latest of their customers.
    async fn end_scoring(&self, run: ScoringRun) -> Result<()>;
    /// Stores a scored population as the last one of its model, unless a later one is stored.
    async fn insert_population(&self, population: ScoredPopulation) -> Result<()>;
    /// Returns the last scored population of a model.
    async fn population(&self, target: Target, version: i64) -> Result<Option<ScoredPopulation>>;
}
