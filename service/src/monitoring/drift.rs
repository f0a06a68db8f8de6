//! Drift: how far the last population that a model has scored is from its training.

use tally_model::evaluation::drift::DriftReport;
use tally_store::ScoredPopulation;

use super::Monitoring;
use crate::{
    catalog::{Model, ModelName},
    platform::error::{Error, Result},
};

/// How far the last population that a model has scored is from its training.
#[derive(Debug)]
pub struct PopulationDrift {
    /// The model.
    pub model: ModelName,
    /// The population.
    pub population: ScoredPopulation,
    /// Customers at the training that are compared with; its snapshots, if the model is of an older version.
    pub training_rows: u64,
    /// The drift of the score and of the features.
    pub report: DriftReport,
}

impl Monitoring {
    /// Compares the last population that the model of this name has scored with its training.
    ///
    /// # Errors
    /// NOT_FOUND when the model is not stored; FAILED_PRECONDITION (NO_POPULATION) when it has not scored
    /// a population yet.
    pub async fn drift(&self, name: ModelName) -> Result<PopulationDrift> {
        self.drift_of(&*self.catalog.version(name).await?).await
    }

    pub(super) async fn drift_of(&self, model: &Model) -> Result<PopulationDrift> {
        let name = model.name;
        let population = self.store.population(name.target, name.version).await?;
        let population = population.ok_or_else(|| Error::Precondition {
            reason: "NO_POPULATION",
            message: format!(
                "{name} has not scored a population yet; call ScorePopulation, or run `tally score-all {} --model {name}`",
                name.target
            ),
        })?;
        let artifact = model.scorer.artifact();
        let reference = &artifact.reference;
        if !population.counts.fit(reference) {
            return Err(Error::Internal(format!(
                "the population of {name} was counted in other bins than those of the model"
            )));
        }
        let report = artifact.drift(&population.counts);
        Ok(PopulationDrift { model: name, training_rows: reference.rows(), population, report })
    }
}
