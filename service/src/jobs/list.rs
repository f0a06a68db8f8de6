//! What the database knows of the jobs, on any server.

use std::sync::Arc;

use tally_model::time::Time;
use tally_store::{JobRun, Store, StoredJob};

use super::schedule::next_due;
use crate::platform::{clock::Clock, error::Result};

/// Lists jobs. Clones share everything.
#[derive(Clone)]
pub struct JobList {
    store: Arc<dyn Store>,
    clock: Arc<Clock>,
}

/// The state of a job.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// As it is stored.
    pub job: StoredJob,
    /// When the next run may begin; of a job that runs, the next one after that.
    pub next_due: Time,
    /// Its last runs, the last one first.
    pub runs: Vec<JobRun>,
}

impl JobList {
    /// Lists the jobs in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<Clock>) -> Self {
        Self { store, clock }
    }

    /// All jobs that a server has ever run by itself, ordered by name, each with at most `max_runs` runs.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, max_runs: usize) -> Result<Vec<JobStatus>> {
        let now = self.clock.now();
        let found = self.store.jobs_with_runs(max_runs).await?.into_iter();
        Ok(found.map(|(job, runs)| JobStatus { next_due: next_due(&job, now), job, runs }).collect())
    }
}
