//! Jobs that servers run by themselves: when each is due, which server runs it, and what came of its last runs.
//!
//! Of several servers on a database one runs a job. It holds the lease from the moment that it claims a run, and grows
//! the heartbeat until the run ends. Who waits for the lease counts how often it reads the same heartbeat, so that no
//! clock of one machine is compared with that of another, nor with that of the database.

use async_trait::async_trait;
use tally_model::time::Time;

use crate::error::Result;

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredJob {
    /// Its name.
    pub job: String,
    /// The time between two scheduled moments, in seconds.
    pub interval_seconds: i64,
    /// The scheduled moment of the run that is next or going on.
    pub slot: Time,
    /// When the next run may begin: the slot, or later after a run that did not succeed.
    pub due: Time,
    /// The number of the last run; 0 before the first one.
    pub run_id: i64,
    /// The server that runs it now.
    pub holder: Option<String>,
    /// Grows while it runs.
    pub heartbeat: i64,
    /// Runs in a row that did not succeed.
    pub retries: i64,
    /// When the last run that succeeded ended.
    pub last_success: Option<Time>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JobRunState {
    /// It goes on.
    Running,
    /// It did what it is for.
    Succeeded,
    /// There was nothing that it could do, for want of data.
    NotEnoughData,
    /// It failed.
    Failed,
    /// The server stopped or died before the run ended.
    Interrupted,
}

impl JobRunState {
    /// All states.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::Succeeded, Self::NotEnoughData, Self::Failed, Self::Interrupted];

    /// Its name, such as `not_enough_data`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::NotEnoughData => "not_enough_data",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// Its number.
    pub run_id: i64,
    /// The server that runs it.
    pub server: String,
    /// When it began.
    pub start: Time,
    /// When it ended; None while it runs.
    pub end: Option<Time>,
    /// How it ended.
    pub state: JobRunState,
    /// What came of it, or why it failed.
    pub result: String,
}

/// The end of a run, and what follows.
#[derive(Clone, Debug)]
pub struct EndedRun {
    /// The job.
    pub job: String,
    /// The number of the run.
    pub run_id: i64,
    /// The heartbeat that has to stand still for the run to end; None when its holder ends it.
    pub heartbeat: Option<i64>,
    /// When it ended.
    pub end: Time,
    /// How it ended.
    pub state: JobRunState,
    /// What came of it, or why it failed.
    pub result: String,
    /// The scheduled moment of the next run.
    pub slot: Time,
    /// When the next run may begin.
    pub due: Time,
    /// Runs in a row that did not succeed.
    pub retries: i64,
}

/// Schedules jobs, leases them to one server at a time, and remembers their runs.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Adds a job whose first run is due at `due`, unless it is there.
    async fn add_job(&self, job: &str, interval_seconds: i64, due: Time) -> Result<()>;
    /// Gives a job another interval, and its next run another moment. Returns false when the job is not as it was seen.
    async fn change_interval(&self, seen: &StoredJob, interval_seconds: i64, slot: Time) -> Result<bool>;
    /// Returns all jobs, ordered by name.
    async fn jobs(&self) -> Result<Vec<StoredJob>>;
    /// Returns all jobs, ordered by name, each with at most `limit` runs, the last one first. All of it is of one moment.
    async fn jobs_with_runs(&self, limit: usize) -> Result<Vec<(StoredJob, Vec<JobRun>)>>;
    /// Begins the run after the run `last`. Returns false when another server was faster.
    async fn claim_run(&self, job: &str, last: i64, server: &str, now: Time) -> Result<bool>;
    /// Grows the heartbeat of a run. Returns false when it was ended: another server has taken over.
    async fn keep_run(&self, job: &str, run_id: i64) -> Result<bool>;
    /// Ends a run, and schedules the next one. Returns false, having changed nothing, when it was ended before, or its
    /// heartbeat has grown. Only the last 50 runs of a job are kept.
    async fn end_run(&self, ended: EndedRun) -> Result<bool>;
    /// Lets a job that is not running begin at `due`, unless it may begin earlier.
    async fn bring_forward(&self, job: &str, due: Time) -> Result<()>;
}
