//! Signals that end an import or a backup.

use std::{fs, process::Stdio, time::Duration};

use indicatif::HumanCount;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

use tally_proto::v1::BackupDatabaseResponse;

use crate::fake::{FakeServer, Knowledge, Received, serve};

fn import(url: &str, args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_tally"))
        .args([&["--server", url, "import"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn send_signal(program: &Child, signal: &str) {
    let id = program.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
}

/// Waits until the server has received something.
async fn received(fake: &FakeServer, what: impl Fn(&Received) -> bool) {
    let waiting = async {
        while !what(&fake.0.lock().unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_import_says_what_is_stored() {
    let (fake, url) = serve().await;
    let (release, released) = watch::channel(false);
    fake.0.lock().unwrap().released = Some(released);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("i.csv");
    let rows: String = (0..200_000).map(|n| format!("I{n},C1,visit,2011-02-01\n")).collect();
    fs::write(&path, format!("interaction_id,customer_id,kind,occur_time\n{rows}")).unwrap();
    let mut program = import(&url, &["--interactions", path.to_str().unwrap(), "--backfill"]);
    received(&fake, |received| !received.batches.is_empty()).await;
    send_signal(&program, "-INT").await;
    let mut stderr = BufReader::new(program.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("SIGINT (Ctrl-C): no more is sent") {
        line.clear();
        assert!(stderr.read_line(&mut line).await.unwrap() > 0);
    }
    release.send(true).unwrap();
    let mut error = String::new();
    stderr.read_to_string(&mut error).await.unwrap();
    assert_eq!(program.wait().await.unwrap().code(), Some(130), "{error}");
    let stored: usize = fake.0.lock().unwrap().batches.iter().map(|batch| batch.interactions.len()).sum();
    assert!((1..200_000).contains(&stored));
    let said = format!("stopped; {} of its rows are stored", HumanCount(stored as u64));
    assert!(error.contains("error: SIGINT (Ctrl-C)") && error.contains(&said), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_sent_a_signal_leaves_nothing() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("bad.csv");
    let mut program = import(&url, &["--interactions", "-", "--skip-bad", bad.to_str().unwrap()]);
    // From then on it waits for standard input, which does not come.
    received(&fake, |received| received.asked > 0).await;
    send_signal(&program, "-HUP").await;
    let mut error = String::new();
    program.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
    assert_eq!(program.wait().await.unwrap().code(), Some(129), "{error}");
    assert!(error.contains("SIGHUP: nothing is stored"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_backup_leaves_no_file() {
    let (fake, url) = serve().await;
    let (_release, released) = watch::channel(false);
    let part = BackupDatabaseResponse { content: b"half".to_vec(), total_bytes: 8 };
    let knowledge = Knowledge { backup: vec![part.clone(), part], ..Knowledge::default() };
    {
        let mut received = fake.0.lock().unwrap();
        (received.released, received.knows) = (Some(released), Some(knowledge));
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup.db");
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args(["--server", &url, "admin", "backup", file.to_str().unwrap()])
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    // It has written the first part, and waits for the second.
    let has_begun = || {
        let sizes =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len());
        sizes.sum::<u64>() == 4
    };
    let waiting = async {
        while !has_begun() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap();
    send_signal(&program, "-INT").await;
    let mut error = String::new();
    program.stderr.take().unwrap().read_to_string(&mut error).await.unwrap();
    assert_eq!(program.wait().await.unwrap().code(), Some(130), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
