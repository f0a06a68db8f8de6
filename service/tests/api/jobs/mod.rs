//! Jobs: what servers do by themselves.

mod handover;
mod leases;
mod outcomes;
mod schedules;
mod settings;

use std::time::Duration;

use tally_proto::v1::{self, JobRunState};
use tonic::Status;

use crate::support::{Tally, interaction};

/// Six hours.
const SIX_HOURS: Duration = Duration::from_secs(6 * 3_600);

impl Tally {
    /// The jobs, as any server on the database knows them.
    async fn try_jobs(&self, max_runs: i32) -> Result<Vec<v1::Job>, Status> {
        let request = v1::ListJobsRequest { max_runs };
        self.insights().list_jobs(request).await.map(|reply| reply.into_inner().jobs)
    }

    /// A job that a server has run.
    async fn job(&self, name: &str) -> Option<v1::Job> {
        self.try_jobs(50).await.unwrap().into_iter().find(|job| job.job == name)
    }

    /// Waits until a job passes, and returns it.
    async fn wait_for_job(&self, name: &str, passes: impl Fn(&v1::Job) -> bool) -> v1::Job {
        let mut seen = None;
        let found = async {
            loop {
                seen = self.job(name).await;
                if let Some(job) = seen.take_if(|job| passes(job)) {
                    return job;
                }
                tokio::task::yield_now().await;
            }
        };
        let found = tokio::time::timeout(Duration::from_secs(90), found).await;
        found.unwrap_or_else(|_| panic!("the job is {seen:#?}"))
    }

    /// Stores three customers.
    async fn add_three(&self) {
        let visits = ["a", "b", "c"].map(|id| interaction(id, "1", "visit", "2024-01-01"));
        self.backfill(visits.to_vec()).await.unwrap();
    }

    /// The passes that are complete.
    async fn passes(&self) -> Option<i64> {
        self.database.sql("SELECT count(*) FROM insight_passes WHERE state = 'complete'").await
    }
}

/// The states of the runs, the last one first.
fn states(job: &v1::Job) -> Vec<JobRunState> {
    job.runs.iter().map(v1::JobRun::state).collect()
}

/// When the next run may begin, in microseconds since 1970.
fn next_due(job: &v1::Job) -> i64 {
    micros(job.next_due_time)
}

fn micros(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.unwrap();
    time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000
}

/// Asserts that no run began before the one before it had ended.
fn assert_one_at_a_time(job: &v1::Job) {
    for pair in job.runs.windows(2) {
        assert!(micros(pair[0].start_time) >= micros(pair[1].end_time), "{job:#?}");
    }
}
