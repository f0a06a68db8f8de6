//! What the database knows of the jobs, on any server.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tally_model::time::Time;
use tally_store::{JobRun, JobRunState, Store, StoredJob};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    JobMetrics,
    lease::{Heartbeats, POLL},
    schedule::next_due,
};
use crate::platform::{clock::Clock, error::Result};

/// What came of a run whose server is dead.
pub(super) const LOST: &str = "its server stopped responding";

/// Lists jobs. Clones share everything.
#[derive(Clone)]
pub struct JobList {
    store: Arc<dyn Store>,
    clock: Arc<Clock>,
    metrics: JobMetrics,
    /// The runs by job whose server is dead, as far as no other server has taken them over.
    lost: Arc<Mutex<HashMap<String, i64>>>,
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
    /// Lists the jobs in `store`, and shows their state in `metrics`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<Clock>, metrics: JobMetrics) -> Self {
        Self { store, clock, metrics, lost: Arc::default() }
    }

    /// Watches the heartbeats of jobs that run, until it is cancelled, and keeps the metrics up to date: a server that never
    /// runs jobs itself has to know, too, which of them are dead. While the database cannot be read, nothing counts as dead
    /// that did not before.
    pub async fn watch(&self) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heartbeats = Heartbeats::default();
        loop {
            ticks.tick().await;
            let Ok(mut jobs) = self.store.jobs().await else { continue };
            let dead = jobs.iter().filter(|job| job.holder.is_some() && heartbeats.is_still(job));
            let dead: HashMap<String, i64> = dead.map(|job| (job.job.clone(), job.run_id)).collect();
            for job in jobs.iter_mut().filter(|job| dead.contains_key(&job.job)) {
                job.holder = None;
            }
            self.metrics.show(&jobs, self.clock.now());
            *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = dead;
        }
    }

    /// All jobs that a server has ever run by itself, ordered by name, each with at most `max_runs` runs. A run whose
    /// server is dead counts as interrupted, also while no other server has taken the job over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, max_runs: usize) -> Result<Vec<JobStatus>> {
        let now = self.clock.now();
        let found = self.store.jobs_with_runs(max_runs).await?.into_iter();
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        let status = |(mut job, mut runs): (StoredJob, Vec<JobRun>)| {
            if job.holder.is_some() && lost.get(&job.job) == Some(&job.run_id) {
                job.holder = None;
                if let Some(run) = runs.iter_mut().find(|run| run.run_id == job.run_id) {
                    run.state = JobRunState::Interrupted;
                    run.result = format!("{LOST}; a server with the flag of the job repeats it");
                }
            }
            JobStatus { next_due: next_due(&job, now), job, runs }
        };
        Ok(found.map(status).collect())
    }
}
