//! What comes of runs, and when they are tried again.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use tally_model::time::Time;
use tally_proto::v1::{JobRunState, Target};
use tally_service::jobs::JobPlan;

use super::{SIX_HOURS, micros, next_due, states};
use crate::support::{Database, DirectConnection, Tally, business, time};

const WEEK: Duration = Duration::from_secs(7 * 86_400);
const MINUTE: i64 = 60_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_trained_before_the_first_pass_scores_with_them() {
    let clock: fn() -> Time = || time("2024-06-01");
    let database = Database::sqlite();
    let loader = Tally::start(database.again()).await;
    loader.simulate(&business(700, 11, time("2024-06-01"))).await;
    let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: Some(WEEK) };
    let server = Tally::start_with(database, clock, plan).await;
    let pass = server.wait_for_job("insights", |job| job.last_success_time.is_some()).await;
    for (name, model, target) in
        [("train-lead", "lead/1", Target::Lead), ("train-churn", "churn/1", Target::Churn)]
    {
        let training = server.job(name).await.unwrap();
        assert_eq!(states(&training), [JobRunState::Succeeded], "{training:?}");
        assert!(training.runs[0].result.starts_with(&format!("{model} now serves: ")), "{training:?}");
        assert!(training.runs[0].duration_seconds.is_some_and(|seconds| seconds > 0.0));
        assert!(micros(training.runs[0].end_time) < micros(pass.runs[0].start_time));
        assert_eq!(training.interval_seconds, 604_800);
        assert!(!server.latest_predictions(target).await.is_empty());
    }
    assert!(pass.runs[0].result.contains(": 700 customers visited"), "{pass:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_did_not_succeed_is_tried_again_soon() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    let clock: fn() -> Time = || Time(NOW.load(Relaxed));
    for database in Database::both().await {
        NOW.store(time("2026-01-01T00:00:00Z").0, Relaxed);
        let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: Some(WEEK) };
        let server = Tally::start_with(database, clock, plan).await;
        let mut direct = DirectConnection::open(&server).await;
        direct.execute("ALTER TABLE insight_passes RENAME TO away").await;
        server.add_three().await;
        // That the data do not suffice is a result.
        let lack = server.wait_for_job("train-lead", |job| job.retries == 1).await;
        assert_eq!(states(&lack), [JobRunState::NotEnoughData]);
        assert!(lack.runs[0].result.starts_with("too little data: have 3 snapshots"), "{lack:?}");
        assert_eq!(next_due(&lack), micros(lack.runs[0].end_time) + MINUTE);
        // An error keeps its details in the log.
        let failed = server.wait_for_job("insights", |job| job.retries == 1).await;
        assert_eq!(states(&failed), [JobRunState::Failed]);
        assert_eq!(failed.runs[0].result, "internal error; the server's log has the details");
        assert_eq!(next_due(&failed), micros(failed.runs[0].end_time) + MINUTE);
        NOW.store(next_due(&failed), Relaxed);
        let failed = server.wait_for_job("insights", |job| job.retries == 2).await;
        assert_eq!(next_due(&failed), micros(failed.runs[0].end_time) + 2 * MINUTE);
        direct.execute("ALTER TABLE away RENAME TO insight_passes").await;
        NOW.store(next_due(&failed), Relaxed);
        let job = server.wait_for_job("insights", |job| job.last_success_time.is_some()).await;
        assert_eq!(states(&job), [JobRunState::Succeeded, JobRunState::Failed, JobRunState::Failed]);
        let slot = micros(failed.runs[1].start_time) / (60 * MINUTE) * 60 * MINUTE;
        assert!((next_due(&job) - slot - 360 * MINUTE).abs() < MINUTE, "the schedule stays: {job:?}");
        assert_eq!((job.retries, job.last_success_time), (0, job.runs[0].end_time));
    }
}
