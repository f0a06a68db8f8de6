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

/// A job with one of its runs; without one before the first.
#[derive(FromRow)]
struct RunRow {
    #[sqlx(flatten)]
    job: JobRow,
    run_number: Option<i64>,
    server: Option<String>,
    start_time: Option<Stamp>,
    end_time: Option<Stamp>,
    state: Option<String>,
    result: Option<String>,
}

impl RunRow {
    fn into_parts(self) -> Result<(StoredJob, Option<JobRun>)> {
        let job = StoredJob::from(self.job);
        let Some(((run_id, server), (start, state))) =
            self.run_number.zip(self.server).zip(self.start_time.zip(self.state))
        else {
            return Ok((job, None));
        };
        let known = JobRunState::ALL.into_iter().find(|known| known.name() == state);
        let unknown = || StoreError::Internal(format!("unknown stored state of a run `{state}`"));
        let run = JobRun {
            run_id,
            server,
            start: start.0,
            end: self.end_time.map(|time| time.0),
            state: known.ok_or_else(unknown)?,
            result: self.result.unwrap_or_default(),
        };
        Ok((job, Some(run)))
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

    async fn jobs_with_runs(&self, limit: usize) -> Result<Vec<(StoredJob, Vec<JobRun>)>> {
        // Runs have consecutive numbers.
        let select = Statement::new(
            "SELECT j.job, j.interval_seconds, j.slot_time, j.due_time, j.run_id, j.holder, j.heartbeat, j.retries, \
             j.success_time, r.run_id AS run_number, r.server, r.start_time, r.end_time, r.state, r.result \
             FROM jobs AS j LEFT JOIN job_runs AS r ON r.job = j.job AND r.run_id > j.run_id - $1 \
             ORDER BY j.job, r.run_id DESC",
        )
        .bind(limit as i64);
        let mut jobs: Vec<(StoredJob, Vec<JobRun>)> = Vec::new();
        for row in self.read::<RunRow>(select).await? {
            let (job, run) = row.into_parts()?;
            if jobs.last().is_none_or(|(last, _)| last.job != job.job) {
                jobs.push((job, Vec::new()));
            }
            if let Some((_, runs)) = jobs.last_mut() {
                runs.extend(run);
            }
        }
        Ok(jobs)
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
        detached(self, async move {
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
        detached(self, async move {
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
}

/// Runs a statement that returns the rows that it changes, in a transaction of its own. Returns whether there were any.
async fn changed<B: Backend>(store: &B, statement: Statement) -> Result<bool> {
    let owned = store.clone();
    detached(store, async move {
        let mut tx = owned.begin().await?;
        let rows = B::run::<(String,)>(&mut tx, statement).await?;
        tx.commit().await?;
        Ok(!rows.is_empty())
    })
    .await
}
