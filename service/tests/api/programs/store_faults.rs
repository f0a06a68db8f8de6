//! What a server does when its database fails, and the checks of what is stored.

use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
    process::{Command, Output, Stdio},
};

use tally_proto::v1::{self, interaction_service_client::InteractionServiceClient};
use tonic::{Code, Status, transport::Channel};

use crate::support::{
    Database, ServeProcess, Tally, business, eventually, interaction, on_both_stores, program, time,
};

on_both_stores!(a_check_reads_all_that_is_stored);

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn check(database: &str) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = program("tally-serve", database).arg("--check").output().unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

async fn client(process: &ServeProcess) -> InteractionServiceClient<Channel> {
    InteractionServiceClient::new(Channel::from_shared(process.url()).unwrap().connect().await.unwrap())
}

/// Records a batch of 500 interactions with this number.
async fn record(client: &mut InteractionServiceClient<Channel>, batch: usize) -> Result<i64, Status> {
    let interactions = (0..500)
        .map(|n| interaction(&format!("c{n}"), &format!("{batch}-{n}"), "visit", "2024-01-01"))
        .collect();
    let request = v1::RecordInteractionsRequest { interactions, ..Default::default() };
    Ok(client.record_interactions(request).await?.into_inner().recorded)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_may_not_grow_refuses_writes_and_takes_them_again_when_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tally.db");
    // As `ulimit -f` of a service manager does, in blocks of 512 or 1,024 bytes; the process may raise it again.
    let serve = program("tally-serve", &url(&file));
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -S -f 2000; exec \"$0\" --listen 127.0.0.1:0"]).arg(serve.get_program());
    limited.env_clear().envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.env("TALLY_LOG", "error").stderr(Stdio::piped());
    let mut process = ServeProcess::spawn(limited);
    let mut errors = process.stderr();
    let mut client = client(&process).await;
    let (mut stored, mut refused) = (0, 0);
    for batch in 0..60 {
        match record(&mut client, batch).await {
            Ok(recorded) => stored += recorded,
            Err(status) => {
                refused += 1;
                assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
                assert!(status.message().contains("storage full"), "{status:?}");
            }
        }
    }
    assert!(stored > 0 && refused > 0, "{stored} stored, {refused} batches refused");
    let listed = process.cli(&["interactions", "list", "c0", "--limit", "1"]);
    assert!(listed.contains("visit"), "reading goes on: {listed}");
    let pid = process.id().to_string();
    let raised = Command::new("prlimit").args(["--fsize=unlimited:", "--pid", &pid]).status().unwrap();
    assert!(raised.success());
    eventually(async || record(&mut client, 60).await.is_ok()).await;
    drop(process);
    let kept = Database::at(url(&file)).sql("SELECT count(*) FROM interactions").await.unwrap();
    assert_eq!(kept, stored + 500, "a refused batch stores nothing, and a stored one is not lost");
    let mut log = String::new();
    errors.read_to_string(&mut log).unwrap();
    assert!(log.contains("the disk of the database is full"), "the operator sees it: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_of_a_database_whose_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let [file, moved] = ["tally.db", "moved.db"].map(|name| folder.path().join(name));
    let process = ServeProcess::start(&url(&file), &[]);
    let mut client = client(&process).await;
    assert_eq!(record(&mut client, 0).await.unwrap(), 500);
    fs::rename(&file, &moved).unwrap();
    assert_eq!(record(&mut client, 1).await.unwrap_err().code(), Code::Unavailable);
    fs::write(&file, "").unwrap();
    assert_eq!(record(&mut client, 1).await.unwrap_err().code(), Code::Unavailable, "it is another file");
    fs::rename(&moved, &file).unwrap();
    assert_eq!(record(&mut client, 1).await.unwrap(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tally.db");
    let mut process = ServeProcess::start(&url(&file), &[]);
    assert_eq!(record(&mut client(&process).await, 0).await.unwrap(), 500);
    assert!(process.terminate().success());
    let (code, said) = check(&url(&file));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the structure of the database: ok"), "{said}");
    assert!(said.contains("the histories of 500 customers: ok"), "{said}");
    // Three pages of tables and indexes in the middle.
    let mut content = fs::File::options().write(true).open(&file).unwrap();
    content.seek(SeekFrom::Start(fs::metadata(&file).unwrap().len() / 2 / 4_096 * 4_096)).unwrap();
    content.write_all(&[0xa5; 3 * 4_096]).unwrap();
    let (code, said) = check(&url(&file));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.to_lowercase().contains("damaged"), "{said}");
    let refused = program("tally-serve", &url(&file)).args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("the database is damaged; restore a backup"), "{said}");
}

async fn a_check_reads_all_that_is_stored(tally: Tally) {
    tally.simulate(&business(400, 3, time("2024-06-01"))).await;
    tally.train(&["churn", "--as-of", "2024-06-01"]);
    let (code, said) = check(&tally.database.url);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 model: ok") && said.contains("the histories of 400 customers: ok"), "{said}");
    tally.database.sql("UPDATE models SET artifact = substr(artifact, 1, length(artifact) - 9)").await;
    let (code, said) = check(&tally.database.url);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("1 model: DAMAGED") && said.contains("churn/1 cannot be read"), "{said}");
}

/// The columns of PostgreSQL hold no damaged JSON.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_json_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tally.db");
    let mut process = ServeProcess::start(&url(&file), &[]);
    assert_eq!(record(&mut client(&process).await, 0).await.unwrap(), 500);
    assert!(process.terminate().success());
    let database = Database::at(url(&file));
    database.sql("DELETE FROM packed_histories").await;
    assert_eq!(check(&url(&file)).0, Some(0));
    database.sql("UPDATE interactions SET properties = '{\"page\": ' WHERE customer_id = 'c7'").await;
    let (code, said) = check(&url(&file));
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the histories of") && said.contains("DAMAGED"), "{said}");
    assert!(said.contains("JSON"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_settings_are_told_before_the_database_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let [file, settings] = ["tally.db", "settings.toml"].map(|name| folder.path().join(name));
    fs::write(&settings, "no_such_key = 1").unwrap();
    for flag in ["--insight", "--alerts"] {
        let refused = program("tally-serve", &url(&file))
            .args(["--listen", "127.0.0.1:0", flag])
            .arg(&settings)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("no_such_key"), "{flag}: {said}");
        assert!(!file.exists(), "{flag}");
        let (database, settings) = (url(&file), settings.to_str().unwrap());
        let refused = program("tally-serve", &database).args(["--check", flag, settings]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("no_such_key"), "--check {flag}: {said}");
    }
}
