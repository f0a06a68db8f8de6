//! Jobs.

use async_trait::async_trait;
use sqlx::FromRow;
use tally_model::time::Time;

use super::{Backend, Stamp, Statement, transaction::detached};
use crate::{
    error::{Result, StoreError},
    jobs::{EndedRun, JobRun, JobRunState, JobStore, StoredJob},
};

/// Runs of a job that are kept.
const KEPT_RUNS: i64 = 50;

#[derive(FromRow)]
struct JobRow {
    job: String,
    interval_seconds: i64,
    slot_time: Stamp,
    due_time: Stamp,
    run_id: i64,
    holder: Option<String>,
    heartbeat: i64,
    retries: i64,
    success_time: Option<Stamp>,
}

impl From<JobRow> for StoredJob {
    fn from(row: JobRow) -> Self {
        Self {
            job: row.job,
            interval_seconds: row.interval_seconds,
            slot: row.slot_time.0,
            due: row.due_time.0,
            run_id: row.run_id,
            holder: row.holder,
            heartbeat: row.heartbeat,
            retries: row.retries,
            last_success: row.success_time.map(|time| time.0),
        }
    }
}

#[derive(FromRow)]
struct RunRow {
    run_id: i64,
    server: String,
    start_time: Stamp,
    end_time: Option<Stamp>,
    state: String,
    result: String,
}

impl TryFrom<RunRow> for JobRun {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self> {
        let state = JobRunState::ALL.into_iter().find(|state| state.name() == row.state);
        Ok(Self {
            run_id: row.run_id,
            server: row.server,
            start: row.start_time.0,
            end: row.end_time.map(|time| time.0),
            state: state.ok_or_else(|| {
                StoreError::Internal(format!("unknown stored state of a run `{}`", row.state))
            })?,
            result: row.result,
        })
    }
}

#[async_trait]
impl<B: Backend> JobStore for B {
    async fn add_job(&self, job: &str, interval_seconds: i64, due: Time) -> Result<()> {
        let insert = Statement::new(
            "INSERT INTO jobs (job, interval_seconds, slot_time, due_time) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (job) DO NOTHING RETURNING job",
        )
        .bind(job)
        .bind(interval_seconds)
        .bind(due)
        .bind(due);
        changed(self, insert).await.map(drop)
    }

    async fn change_interval(&self, seen: &StoredJob, interval_seconds: i64, slot: Time) -> Result<bool> {
        let update = Statement::new(
            "UPDATE jobs SET interval_seconds = $1, slot_time = $2, due_time = $3 \
             WHERE job = $4 AND interval_seconds = $5 AND slot_time = $6 RETURNING job",
        )
        .bind(interval_seconds)
        .bind(slot)
        .bind(slot)
        .bind(seen.job.as_str())
        .bind(seen.interval_seconds)
        .bind(seen.slot);
        changed(self, update).await
    }

    async fn jobs(&self) -> Result<Vec<StoredJob>> {
        let select = Statement::new(
            "SELECT job, interval_seconds, slot_time, due_time, run_id, holder, heartbeat, retries, success_time \
             FROM jobs ORDER BY job",
        );
        Ok(self.read::<JobRow>(select).await?.into_iter().map(StoredJob::from).collect())
    }

    async fn claim_run(&self, job: &str, last: i64, server: &str, now: Time) -> Result<bool> {
        let claim = Statement::new(
            "UPDATE jobs SET run_id = run_id + 1, holder = $1, heartbeat = 0 \
             WHERE job = $2 AND run_id = $3 AND holder IS NULL AND due_time <= $4 RETURNING run_id",
        )
        .bind(server)
        .bind(job)
        .bind(last)
        .bind(now);
        let insert = Statement::new(
            "INSERT INTO job_runs (job, run_id, server, start_time, state) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(job)
        .bind(last + 1)
        .bind(server)
        .bind(now)
        .bind(JobRunState::Running.name());
        let store = self.clone();
        detached(async move {
            let mut tx = store.begin().await?;
            let claimed = !B::run::<(i64,)>(&mut tx, claim).await?.is_empty();
            if claimed {
                B::run::<()>(&mut tx, insert).await?;
            }
            tx.commit().await?;
            Ok(claimed)
        })
        .await
    }

    async fn keep_run(&self, job: &str, run_id: i64) -> Result<bool> {
        let update = Statement::new(
            "UPDATE jobs SET heartbeat = heartbeat + 1 \
             WHERE job = $1 AND run_id = $2 AND holder IS NOT NULL RETURNING job",
        )
        .bind(job)
        .bind(run_id);
        changed(self, update).await
    }

    async fn end_run(&self, ended: EndedRun) -> Result<bool> {
        let succeeded = (ended.state == JobRunState::Succeeded).then_some(ended.end);
        let mut release = Statement::new("UPDATE jobs SET holder = NULL, slot_time = ");
        release.push_bind(ended.slot).push(", due_time = ").push_bind(ended.due);
        release.push(", retries = ").push_bind(ended.retries);
        if let Some(end) = succeeded {
            release.push(", success_time = ").push_bind(end);
        }
        release.push(" WHERE job = ").push_bind(ended.job.as_str());
        release.push(" AND run_id = ").push_bind(ended.run_id).push(" AND holder IS NOT NULL");
        if let Some(heartbeat) = ended.heartbeat {
            release.push(" AND heartbeat = ").push_bind(heartbeat);
        }
        release.push(" RETURNING run_id");
        let end = Statement::new(
            "UPDATE job_runs SET end_time = $1, state = $2, result = $3 WHERE job = $4 AND run_id = $5",
        )
        .bind(ended.end)
        .bind(ended.state.name())
        .bind(ended.result.as_str())
        .bind(ended.job.as_str())
        .bind(ended.run_id);
        let prune = Statement::new("DELETE FROM job_runs WHERE job = $1 AND run_id <= $2")
            .bind(ended.job.as_str())
            .bind(ended.run_id - KEPT_RUNS);
        let store = self.clone();
        detached(async move {
            let mut tx = store.begin().await?;
            let released = !B::run::<(i64,)>(&mut tx, release).await?.is_empty();
            if released {
                B::run::<()>(&mut tx, end).await?;
                B::run::<()>(&mut tx, prune).await?;
            }
            tx.commit().await?;
            Ok(released)
        })
        .await
    }

    async fn bring_forward(&self, job: &str, due: Time) -> Result<()> {
        let update = Statement::new(
            "UPDATE jobs SET due_time = $1 WHERE job = $2 AND holder IS NULL AND due_time > $3 RETURNING job",
        )
        .bind(due)
        .bind(job)
        .bind(due);
        changed(self, update).await.map(drop)
    }

    async fn job_runs(&self, job: &str, limit: usize) -> Result<Vec<JobRun>> {
        let select = Statement::new(
            "SELECT run_id, server, start_time, end_time, state, result FROM job_runs WHERE job = $1 \
             ORDER BY run_id DESC LIMIT $2",
        )
        .bind(job)
        .bind(limit as i64);
        self.read::<RunRow>(select).await?.into_iter().map(JobRun::try_from).collect()
    }
}

/// Runs a statement that returns the rows that it changes, in a transaction of its own. Returns whether there were any.
async fn changed<B: Backend>(store: &B, statement: Statement) -> Result<bool> {
    let store = store.clone();
    detached(async move {
        let mut tx = store.begin().await?;
        let rows = B::run::<(String,)>(&mut tx, statement).await?;
        tx.commit().await?;
        Ok(!rows.is_empty())
    })
    .await
}
