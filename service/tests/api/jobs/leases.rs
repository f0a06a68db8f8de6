//! Leases: of several servers one runs a job.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use futures_util::future::join_all;
use tally_model::time::Time;
use tally_proto::v1::JobRunState as State;
use tally_service::{jobs::JobPlan, platform::clock::system_clock};
use tally_store::{EndedRun, JobRunState, Store};

use super::{SIX_HOURS, assert_one_at_a_time, next_due, states};
use crate::support::{Database, DirectConnection, Tally, eventually, on_both_stores, time};

on_both_stores!(a_run_has_one_holder);

/// The end of a run of a job that is due at once again.
fn end_of(run_id: i64, heartbeat: Option<i64>) -> EndedRun {
    EndedRun {
        job: "insights".to_owned(),
        run_id,
        heartbeat,
        end: time("2026-01-01T00:00:01Z"),
        state: JobRunState::Succeeded,
        result: String::new(),
        slot: time("2026-01-01T00:00:00Z"),
        due: time("2026-01-01T00:00:00Z"),
        retries: 0,
    }
}

/// Begins and ends this many runs of a job that is due.
pub(super) async fn end_runs(store: &dyn Store, runs: i64) {
    let first = store.jobs().await.unwrap()[0].run_id;
    for last in first..first + runs {
        assert!(store.claim_run("insights", last, "a server", time("2026-01-01T00:00:00Z")).await.unwrap());
        assert!(store.end_run(end_of(last + 1, None)).await.unwrap());
    }
}

async fn a_run_has_one_holder(tally: Tally) {
    let due = time("2026-01-01T00:00:00Z");
    let opens = (0..3).map(|_| tally_store::open(&tally.database.url));
    let stores: Vec<Arc<dyn Store>> = join_all(opens).await.into_iter().map(Result::unwrap).collect();
    join_all(stores.iter().map(|store| store.add_job("insights", 21_600, due))).await;
    let store = &stores[0];
    assert!(!store.claim_run("insights", 0, "early", Time(due.0 - 1)).await.unwrap());
    for last in 0..20 {
        let claims =
            stores.iter().chain(&stores).map(|store| store.claim_run("insights", last, "a server", due));
        let claimed = join_all(claims).await.into_iter().filter(|claimed| *claimed.as_ref().unwrap()).count();
        assert_eq!(claimed, 1);
        let run = last + 1;
        assert!(store.keep_run("insights", run).await.unwrap());
        assert!(!store.keep_run("insights", run - 1).await.unwrap(), "a run that is over cannot be kept");
        assert!(!store.end_run(end_of(run, Some(0))).await.unwrap(), "its heartbeat has grown");
        assert!(!store.end_run(end_of(run - 1, None)).await.unwrap());
        // The holder and two others who take it for dead.
        let ends = [None, Some(1), Some(1)].map(|heartbeat| store.end_run(end_of(run, heartbeat)));
        let ended = join_all(ends).await.into_iter().filter(|ended| *ended.as_ref().unwrap()).count();
        assert_eq!(ended, 1);
        assert!(!store.keep_run("insights", run).await.unwrap());
    }
    end_runs(&**store, 40).await;
    let jobs = store.jobs_with_runs(1_000).await.unwrap();
    let kept: Vec<i64> = jobs[0].1.iter().map(|run| run.run_id).collect();
    assert_eq!(kept, (11..=60).rev().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_run_of_a_server_that_is_dead_is_repeated() {
    let [sqlite, postgres] = Database::both().await;
    let repeat = async |database: Database| {
        let idle = Tally::start(database.again()).await;
        idle.add_three().await;
        let due = time("2024-01-01T00:00:00Z");
        let store = tally_store::open(&database.url).await.unwrap();
        store.add_job("insights", 21_600, due).await.unwrap();
        assert!(store.claim_run("insights", 0, "a dead server", due).await.unwrap());
        assert!(store.keep_run("insights", 1).await.unwrap());
        // A job that no other server runs.
        store.add_job("train-lead", 604_800, due).await.unwrap();
        assert!(store.claim_run("train-lead", 0, "a dead server", due).await.unwrap());
        let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: None };
        let server = Tally::start_with(database, system_clock, plan).await;
        let job = idle.wait_for_job("insights", |job| job.runs.len() == 2 && !job.running).await;
        assert_eq!(states(&job), [State::Succeeded, State::Interrupted]);
        assert_eq!(job.runs[1].result, "its server stopped responding");
        assert_eq!((job.runs[1].server.as_str(), job.retries), ("a dead server", 0));
        assert_one_at_a_time(&job);
        let lost = idle.wait_for_job("train-lead", |job| !job.running).await;
        assert_eq!((states(&lost), lost.runs[0].end_time), (vec![State::Interrupted], None));
        assert!(lost.runs[0].result.starts_with("its server stopped responding; a server with"), "{lost:?}");
        assert_eq!((next_due(&lost), lost.retries), (due.0, 0));
        let shown = idle.cli(&["jobs", "list"]);
        assert!(!shown.contains("runs now"), "{shown}");
        for tally in [&server, &idle] {
            assert_shown(tally, "tally_job_running{job=\"train-lead\"}", 0.0).await;
            assert_shown(tally, "tally_job_next_due_seconds{job=\"train-lead\"}", due.0 as f64 / 1e6).await;
        }
    };
    tokio::join!(repeat(sqlite), repeat(postgres));
}

/// Waits until a metric has this value.
async fn assert_shown(tally: &Tally, metric: &str, wanted: f64) {
    let shown = async || {
        let (_, text) = tally.get("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(metric));
        value.is_some_and(|value| value.trim().parse() == Ok(wanted))
    };
    eventually(shown).await;
}

/// On PostgreSQL, where a lock can hold a run in the middle while the lease is renewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_has_lost_its_lease_stops() {
    static NOW: AtomicI64 = AtomicI64::new(0);
    NOW.store(time("2026-01-01T00:00:00Z").0, Relaxed);
    let plan = JobPlan { score_every: Some(SIX_HOURS), train_every: None };
    let server = Tally::start_with(Database::in_cluster().await, || Time(NOW.load(Relaxed)), plan).await;
    let mut direct = DirectConnection::open(&server).await;
    direct.execute("BEGIN").await;
    direct.execute("LOCK TABLE customer_insights IN SHARE MODE").await;
    server.add_three().await;
    server.wait_for_job("insights", |job| job.running).await;
    let store = tally_store::open(&server.database.url).await.unwrap();
    let due = time("2026-01-01T06:00:00Z");
    let taken = EndedRun { state: JobRunState::Interrupted, slot: due, due, ..end_of(1, None) };
    assert!(store.end_run(taken).await.unwrap());
    NOW.store(due.0, Relaxed);
    // The server runs one job at a time: it has given up the first run.
    server.wait_for_job("insights", |job| job.running && job.runs.len() == 2).await;
    direct.unlock().await;
    let job = server.wait_for_job("insights", |job| job.runs.len() == 2 && !job.running).await;
    assert_eq!(states(&job), [State::Succeeded, State::Interrupted]);
    assert_eq!(server.passes().await, Some(1), "the first pass is never complete");
}
