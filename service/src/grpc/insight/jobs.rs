//! The jobs that servers run by themselves.

use tally_model::time::Time;
use tally_proto::v1::{self, ListJobsRequest, ListJobsResponse};
use tally_store::{JobRun, JobRunState};
use tonic::Status;

use super::InsightRpc;
use crate::{
    grpc::convert::{response::timestamp, validator::Validator},
    jobs::JobStatus,
};

/// Runs of a job by default.
const RUNS: usize = 10;
/// The most runs of a job.
const MOST_RUNS: usize = 50;

/// ListJobs.
pub(super) async fn list(rpc: &InsightRpc, request: &ListJobsRequest) -> Result<ListJobsResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let max_runs = match usize::try_from(request.max_runs) {
        Ok(0) => RUNS,
        Ok(runs) => runs.min(MOST_RUNS),
        Err(_) => {
            validator.refuse("max_runs", format!("is {}; allowed is 0 or more", request.max_runs));
            RUNS
        }
    };
    let max_runs = validator.finish(max_runs)?;
    let jobs = rpc.jobs.list(max_runs).await?.into_iter().map(job).collect();
    Ok(ListJobsResponse { jobs })
}

fn job(status: JobStatus) -> v1::Job {
    let JobStatus { job, next_due, runs } = status;
    v1::Job {
        job: job.job,
        interval_seconds: job.interval_seconds,
        next_due_time: Some(timestamp(next_due)),
        running: job.holder.is_some(),
        retries: job.retries,
        last_success_time: job.last_success.map(timestamp),
        runs: runs.into_iter().map(run).collect(),
    }
}

fn run(run: JobRun) -> v1::JobRun {
    let seconds = |end: Time| end.0.saturating_sub(run.start.0).max(0) as f64 / 1e6;
    v1::JobRun {
        state: state(run.state).into(),
        start_time: Some(timestamp(run.start)),
        end_time: run.end.map(timestamp),
        duration_seconds: run.end.map(seconds),
        result: run.result,
        server: run.server,
    }
}

const fn state(state: JobRunState) -> v1::JobRunState {
    match state {
        JobRunState::Running => v1::JobRunState::Running,
        JobRunState::Succeeded => v1::JobRunState::Succeeded,
        JobRunState::NotEnoughData => v1::JobRunState::NotEnoughData,
        JobRunState::Failed => v1::JobRunState::Failed,
        JobRunState::Interrupted => v1::JobRunState::Interrupted,
    }
}
