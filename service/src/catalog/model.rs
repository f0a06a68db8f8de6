//! A stored model version, validated and ready to score.

use tally_model::{artifact::Artifact, scoring::Scorer, training::checks::FailedCheck};
use tally_store::{Store, StoredModel};

use super::ModelName;
use crate::platform::{
    blocking::run_blocking,
    error::{Error, Result},
};

/// A model version that is ready to score.
#[derive(Debug)]
pub struct Model {
    /// Its name.
    pub name: ModelName,
    /// Its scorer.
    pub scorer: Scorer,
    /// The checks that it failed when it was trained.
    pub failed_checks: Vec<FailedCheck>,
}

impl Model {
    /// Validates a stored model and prepares its scorer.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (UNREADABLE_MODEL) when the artifact is damaged or belongs to another target.
    pub fn new(stored: &StoredModel) -> Result<Self> {
        let name = ModelName { target: stored.target, version: stored.version };
        let failed_checks = stored.assessment.failed_checks.clone();
        let scorer = Scorer::new(read_artifact(stored)?)
            .map_err(|error| Error::unreadable_model(&name.to_string(), error))?;
        Ok(Self { name, scorer, failed_checks })
    }

    /// [`Model::new`] off the async workers, since an artifact may be large.
    ///
    /// # Errors
    /// As [`Model::new`].
    pub async fn prepare(stored: StoredModel) -> Result<Self> {
        run_blocking(move || Self::new(&stored)).await?
    }

    /// Reads a version from the store and prepares it.
    ///
    /// # Errors
    /// NOT_FOUND (MODEL_NOT_FOUND) when it is not stored; FAILED_PRECONDITION (UNREADABLE_MODEL) when it is damaged;
    /// when the store fails.
    pub async fn load(store: &dyn Store, name: ModelName) -> Result<Self> {
        let stored = store.model(name.target, name.version).await?;
        Self::prepare(stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?).await
    }
}

/// The validated artifact of a stored model, for those who need no scorer.
///
/// # Errors
/// FAILED_PRECONDITION (UNREADABLE_MODEL) when it is damaged or belongs to another target.
pub fn read_artifact(stored: &StoredModel) -> Result<Artifact> {
    let name = ModelName { target: stored.target, version: stored.version }.to_string();
    let artifact =
        Artifact::from_bytes(&stored.artifact).map_err(|error| Error::unreadable_model(&name, error))?;
    let predicted = artifact.outcome.target;
    if predicted != stored.target {
        return Err(Error::unreadable_model(&name, format_args!("it is about {predicted}")));
    }
    Ok(artifact)
}
