//! When jobs run, and on how many servers.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use tally_model::time::Time;
use tally_proto::v1::JobRunState;
use tally_service::jobs::JobPlan;
use tonic::Code;

use super::{SIX_HOURS, assert_one_at_a_time, next_due, states};
use crate::support::{Database, Tally, assert_refused, on_both_stores, time};

on_both_stores!(jobs_that_never_ran_are_not_listed);

const HOUR: i64 = 3_600_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_servers_one_runs_and_what_was_missed_is_made_up_once() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let clock: fn() -> Time = || Time(NOW.load(Relaxed));
    for database in Database::both().await {
        NOW.store(time("2026-01-01T00:00:00Z").0, Relaxed);
        let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: None };
        let mut one = Tally::start_with(database.again(), clock, plan).await;
        let mut other = Tally::start_with(database.again(), clock, plan).await;
        let idle = Tally::start_with(database.again(), clock, JobPlan::default()).await;
        let waiting = idle.wait_for_job("insights", |_| true).await;
        assert!(waiting.runs.is_empty(), "without customers there is nothing to do");
        let first = next_due(&waiting);
        one.add_three().await;
        let job = idle.wait_for_job("insights", |job| states(job) == [JobRunState::Succeeded]).await;
        assert_eq!((job.interval_seconds, next_due(&job)), (21_600, first + 6 * HOUR));
        assert!(job.runs[0].result.starts_with("insights as of 2026-01-01T00:00:00"), "{job:?}");
        // Ten runs are missed. Restarts and clocks do not move the schedule.
        NOW.store(first + 61 * HOUR, Relaxed);
        let job = idle.wait_for_job("insights", |job| job.runs.len() == 2 && !job.running).await;
        assert_eq!(next_due(&job), first + 66 * HOUR);
        NOW.store(first + 66 * HOUR, Relaxed);
        let job =
            idle.wait_for_job("insights", |job| next_due(job) == first + 72 * HOUR && !job.running).await;
        assert_eq!(states(&job), [JobRunState::Succeeded; 3]);
        assert_one_at_a_time(&job);
        assert_eq!(idle.passes().await, Some(3));
        let mut counted = 0.0;
        for server in [&one, &other] {
            let (_, metrics) = server.get("/metrics").await;
            let of = |name: &str| {
                metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
            };
            counted += of("tally_job_runs_total{job=\"insights\",result=\"succeeded\"}").unwrap_or_default();
        }
        assert_eq!(counted, 3.0);
        one.stop().await;
        other.stop().await;
        let plan = JobPlan { score_every: Some(Duration::from_secs(3_600)), train_every: None };
        let _changed = Tally::start_with(database, clock, plan).await;
        let job = idle.wait_for_job("insights", |job| job.interval_seconds == 3_600).await;
        assert_eq!((next_due(&job), job.runs.len()), (first + 67 * HOUR, 3));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_was_far_ahead_holds_up_nothing_after_a_restart() {
    for database in Database::both().await {
        let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: None };
        let of_2036: fn() -> Time = || time("2036-01-01T00:00:00Z");
        let mut ahead = Tally::start_with(database.again(), of_2036, plan).await;
        ahead.add_three().await;
        let job = ahead.wait_for_job("insights", |job| states(job) == [JobRunState::Succeeded]).await;
        assert_eq!(next_due(&job) / HOUR, of_2036().0 / HOUR + 6);
        ahead.stop().await;
        let of_2026: fn() -> Time = || time("2026-01-01T00:00:00Z");
        let right = Tally::start_with(database, of_2026, plan).await;
        let job = right.wait_for_job("insights", |job| states(job) == [JobRunState::Succeeded; 2]).await;
        assert_eq!(next_due(&job) / HOUR, of_2026().0 / HOUR + 6);
    }
}

async fn jobs_that_never_ran_are_not_listed(tally: Tally) {
    assert_eq!(tally.try_jobs(0).await.unwrap(), []);
    assert_refused(tally.try_jobs(-1).await, Code::InvalidArgument, "INVALID_REQUEST", &["max_runs"]);
    let store = tally_store::open(&tally.database.url).await.unwrap();
    store.add_job("insights", 21_600, time("2026-01-01T00:00:00Z")).await.unwrap();
    super::leases::end_runs(&*store, 12).await;
    for (max_runs, runs) in [(0, 10), (1, 1), (11, 11), (50, 12), (i32::MAX, 12)] {
        assert_eq!(tally.try_jobs(max_runs).await.unwrap()[0].runs.len(), runs);
    }
}
