//! What becomes of a run when the process that runs it ends.

use std::process::Command;

use tally_proto::v1::JobRunState;

use super::{assert_one_at_a_time, states};
use crate::support::{Database, DirectConnection, ServeProcess, Tally};

/// On PostgreSQL, where a lock can hold a run in the middle while the lease is renewed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_handed_over_when_its_process_is_stopped_or_killed() {
    let idle = Tally::start(Database::in_cluster().await).await;
    idle.add_three().await;
    let mut direct = DirectConnection::open(&idle).await;
    direct.execute("BEGIN").await;
    direct.execute("LOCK TABLE customer_insights IN SHARE MODE").await;
    let start = || ServeProcess::start(&idle.database.url, &["--score-every", "6h"]);
    let mut stopped = start();
    idle.wait_for_job("insights", |job| job.running).await;
    let killed = start();
    stopped.signal_term();
    // The next one takes over at once, in the state in which it was.
    let job = idle.wait_for_job("insights", |job| job.running && job.runs.len() == 2).await;
    assert_eq!(states(&job), [JobRunState::Running, JobRunState::Interrupted]);
    assert_eq!((job.runs[1].result.as_str(), job.retries), ("its server was stopped", 0));
    let (last, pid) = (start(), job.runs[0].server.rsplit(' ').next().unwrap().to_owned());
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    direct.unlock().await;
    assert!(stopped.wait().success());
    let job = idle.wait_for_job("insights", |job| job.runs.len() == 3 && !job.running).await;
    assert_eq!(states(&job), [JobRunState::Succeeded, JobRunState::Interrupted, JobRunState::Interrupted]);
    assert_eq!((job.runs[1].result.as_str(), job.retries), ("its server stopped responding", 0));
    assert_one_at_a_time(&job);
    assert_eq!(idle.passes().await, Some(1));
    // Both that are left would have run it, so they know it.
    assert!(last.cli(&["jobs", "list"]).contains("succeeded"));
    drop(killed);
}
