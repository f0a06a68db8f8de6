//! How servers agree who runs a job.
//!
//! The holder of a run grows its heartbeat in the database. Who waits counts how often it reads the same heartbeat, a
//! second apart or more, and takes over after [`READS`] of them; the holder gives up long before that when it cannot
//! grow the heartbeat. So nobody compares clocks, and while nobody can read the database, nobody takes over.

use std::{collections::HashMap, time::Duration};

use tally_store::{Store, StoredJob};
use tokio::time::{Instant, sleep, timeout};

/// How often the state of all jobs is read.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// How often the holder grows the heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long after the last heartbeat that it has grown a holder gives up. Others wait for twice as long.
pub(super) const GIVES_UP_AFTER: Duration = Duration::from_secs(10);
/// How often the same heartbeat is read until the holder counts as dead.
const READS: u32 = 20;

/// The heartbeats of jobs that others run.
#[derive(Default)]
pub(super) struct Heartbeats(HashMap<String, SeenHeartbeat>);

/// A heartbeat, and how often it was read.
#[derive(Default)]
struct SeenHeartbeat {
    run_id: i64,
    heartbeat: i64,
    reads: u32,
}

impl Heartbeats {
    /// Takes note of a running job as it was read now. Returns whether its heartbeat has stood still for so long that its
    /// holder is dead.
    pub(super) fn is_still(&mut self, job: &StoredJob) -> bool {
        let seen = self.0.entry(job.job.clone()).or_default();
        if (seen.run_id, seen.heartbeat) != (job.run_id, job.heartbeat) {
            *seen = SeenHeartbeat { run_id: job.run_id, heartbeat: job.heartbeat, reads: 0 };
        }
        seen.reads += 1;
        seen.reads > READS
    }
}

/// Grows the heartbeat of a run. Returns when the lease is lost, because another server has ended the run or the database
/// has not answered for too long; the caller then stops the run.
pub(super) async fn keep(store: &dyn Store, job: &str, run_id: i64) {
    let mut kept = Instant::now();
    loop {
        sleep(HEARTBEAT).await;
        let sent = Instant::now();
        let left = GIVES_UP_AFTER.saturating_sub(kept.elapsed());
        match timeout(left, store.keep_run(job, run_id)).await {
            Ok(Ok(true)) => kept = sent,
            Ok(Ok(false)) => return,
            Ok(Err(error)) => tracing::warn!(%error, job, "the lease of a job could not be renewed"),
            Err(_) => tracing::warn!(job, "the lease of a job could not be renewed in time"),
        }
        if kept.elapsed() >= GIVES_UP_AFTER {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use tally_model::time::Time;

    use super::*;

    fn read(run_id: i64, heartbeat: i64) -> StoredJob {
        StoredJob {
            job: "insights".to_owned(),
            interval_seconds: 600,
            slot: Time(0),
            due: Time(0),
            run_id,
            holder: Some("another".to_owned()),
            heartbeat,
            retries: 0,
            last_success: None,
        }
    }

    #[test]
    fn a_holder_is_dead_when_its_heartbeat_stands_still() {
        let mut heartbeats = Heartbeats::default();
        let mut reads = |job: &StoredJob| (1..100).find(|_| heartbeats.is_still(job));
        assert_eq!(reads(&read(1, 0)), Some(21));
        assert_eq!(reads(&read(1, 1)), Some(21), "a heartbeat begins anew");
        assert_eq!(reads(&read(2, 1)), Some(21), "so does another run");
        let mut alive = Heartbeats::default();
        assert!((0..100).all(|beat| !(0..3).any(|_| alive.is_still(&read(1, beat)))));
    }
}
