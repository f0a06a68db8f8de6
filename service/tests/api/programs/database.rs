//! The database of the programs: what they leave behind, backups, and URLs that are refused.

use std::{fs, path::Path, process::Output};

use tally_proto::v1;

use crate::support::{Database, ServeProcess, interaction, program, text};

/// The files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Records interactions of as many customers.
async fn record(process: &ServeProcess, customers: usize) {
    let channel = tonic::transport::Channel::from_shared(process.url()).unwrap().connect().await.unwrap();
    let mut client = v1::interaction_service_client::InteractionServiceClient::new(channel);
    for number in 0..customers {
        let interactions = vec![interaction(&format!("c{number}"), "1", "visit", "2024-01-01")];
        let request = v1::RecordInteractionsRequest { interactions, ..Default::default() };
        client.record_interactions(request).await.unwrap();
    }
}

/// How many customers a database has.
async fn customers(file: &Path) -> i64 {
    let mut process = ServeProcess::start(&url(file), &[]);
    let listed = process.cli(&["interactions", "list", "c39"]);
    assert!(listed.contains("visit"), "{listed}");
    assert!(process.terminate().success());
    Database::at(url(file)).sql("SELECT count(*) FROM customers").await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_last_program_a_sqlite_database_is_one_file_that_needs_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tally.db");
    let mut processes = [(); 2].map(|()| ServeProcess::start(&url(&file), &[]));
    record(&processes[0], 40).await;
    assert!(files(folder.path()).contains(&"tally.db-wal".to_owned()));
    processes.iter().for_each(ServeProcess::signal_term);
    for process in &mut processes {
        assert!(process.wait().success());
    }
    assert_eq!(files(folder.path()), ["tally.db"]);
    // Bytes 18 and 19 of the header are 1, not 2, where readers need no log.
    assert_eq!(fs::read(&file).unwrap()[18..20], [1, 1]);
    let refused = program("tally-train", &url(&file)).arg("churn").output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert_eq!(files(folder.path()), ["tally.db"]);
    let copy = folder.path().join("copy.db");
    fs::copy(&file, &copy).unwrap();
    assert_eq!(customers(&copy).await, 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_holds_everything_while_the_server_serves() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("tally.db"), folder.path().join("backup.db"));
    let process = ServeProcess::start(&url(&file), &[]);
    record(&process, 40).await;
    let run = || program("tally-serve", &url(&file)).args(["backup", text(&backup)]).output().unwrap();
    let done = run();
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(
        files(folder.path()).iter().all(|name| !name.contains("partial") && !name.starts_with("backup.db-"))
    );
    assert_eq!(customers(&backup).await, 40);
    assert!(process.cli(&["audit", "list"]).contains("BackupDatabase"));
    let again = run();
    assert!(!again.status.success() && stderr(&again).contains("exists already"), "{}", stderr(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_sends_a_backup_of_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let (file, backup) = (folder.path().join("tally.db"), folder.path().join("backup.db"));
    let process = ServeProcess::start(&url(&file), &[]);
    record(&process, 40).await;
    let said = process.cli(&["admin", "backup", text(&backup)]);
    let bytes = fs::metadata(&backup).unwrap().len();
    let expected = format!("is backed up in {} {bytes} bytes", backup.display());
    assert!(said.replace(',', "").contains(&expected), "{said}");
    assert!(files(folder.path()).iter().all(|name| !name.starts_with('.')), "{:?}", files(folder.path()));
    assert_eq!(customers(&backup).await, 40);
    assert!(process.cli(&["audit", "list"]).contains("BackupDatabase"));
    let run = |url: String, file: &Path| {
        let output =
            program("tally", "").args(["--server", &url, "admin", "backup", text(file)]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let exists = run(process.url(), &backup);
    assert!(exists.contains("backup.db: exists already"), "{exists}");
    let nowhere = run(process.url(), &folder.path().join("no/such/backup.db"));
    assert!(nowhere.contains("backup.db: No such file or directory"), "{nowhere}");
    let postgres = ServeProcess::start(&Database::postgres().await.url, &[]);
    let refused = run(postgres.url(), &folder.path().join("postgres.db"));
    assert!(refused.contains("pg_dump"), "{refused}");
    assert!(!folder.path().join("postgres.db").exists());
}

#[test]
fn a_server_removes_what_a_killed_one_has_left_of_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tally.db");
    let [abandoned, in_use, other] = [".a.backup", ".b.backup", ".c.backup"].map(|n| folder.path().join(n));
    for path in [&abandoned, &in_use, &other] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("copy.db"), "copy").unwrap();
    }
    fs::write(abandoned.join("lock"), "").unwrap();
    let lock = fs::File::create(in_use.join("lock")).unwrap();
    lock.lock().unwrap();
    let server = ServeProcess::start(&url(&file), &[]);
    assert_eq!([&abandoned, &in_use, &other].map(|path| path.exists()), [false, true, true]);
    drop((server, lock));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_cannot_be_made_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup.db");
    let absent = url(&folder.path().join("absent.db"));
    let postgres = Database::postgres().await;
    let run = |database: &str, to: &Path| {
        let output = program("tally-serve", database).args(["backup", text(to)]).output().unwrap();
        assert!(!output.status.success());
        stderr(&output)
    };
    assert!(run(&absent, &backup).contains("absent.db does not exist"));
    assert!(run(&postgres.url, &backup).contains("pg_dump"));
    let present = Database::sqlite();
    drop(ServeProcess::start(&present.url, &[]));
    let nowhere = run(&present.url, &folder.path().join("no/such/backup.db"));
    assert!(nowhere.contains("backup.db: No such file or directory"), "{nowhere}");
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_does_not_write_over_the_database_or_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let [file, spec, other] = ["tally.db", "spec.toml", "link.db"].map(|name| folder.path().join(name));
    let mut process = ServeProcess::start(&url(&file), &[]);
    record(&process, 40).await;
    assert!(process.terminate().success());
    fs::write(&spec, "").unwrap();
    std::os::unix::fs::symlink(&file, &other).unwrap();
    let new = folder.path().join("new/");
    let run = |arguments: &[&str]| {
        let refused = program("tally-train", &url(&file)).arg("churn").args(arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        stderr(&refused)
    };
    assert!(run(&["--report-out", text(&file)]).contains("tally.db is the file of the database"));
    assert!(run(&["--matrix-out", text(&other)]).contains("link.db is the file of the database"));
    let log = format!("{}-wal", text(&file));
    assert!(run(&["--matrix-out", &log]).contains("--matrix-out: ") && !Path::new(&log).exists());
    assert!(run(&["--spec", text(&spec), "--report-out", text(&spec)]).contains("is the file of --spec"));
    let both = ["--report-out", "same.json", "--matrix-out", "same.json"];
    assert!(run(&both).contains("--matrix-out: same.json is the file of --report-out"));
    for folder in [text(folder.path()), text(&new)] {
        assert!(run(&["--report-out", folder]).contains("--report-out: "), "{folder}");
    }
    assert_eq!(customers(&file).await, 40);
}

#[test]
fn a_training_does_not_create_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("misspelt.db");
    let refused = program("tally-train", &url(&file)).arg("churn").output().unwrap();
    let message = stderr(&refused);
    assert!(message.contains("misspelt.db does not exist; tally-serve creates it"), "{message}");
    assert!(!refused.status.success() && !file.exists());
}

#[test]
fn no_piece_of_a_password_is_told() {
    let urls = [
        ("postgres://tally:/7M+r?c4n4ry@127.0.0.1:1/tally", "percent-encode"),
        ("postgres://tally:abc#c4n4ry@127.0.0.1:1/tally", "percent-encode"),
        ("postgres://tally:p@c4n4ry@127.0.0.1:1/tally", "percent-encode"),
        ("postgres://tally:100%c4n4ry@127.0.0.1:1/tally", "percent-encode"),
        ("postgres://127.0.0.1:1/tally?user=tally&password=a&c4n4ry=b", "percent-encode"),
        ("postgres://tally:c4n4ry@127.0.0.1:1/tally?connect_timeout=5", "`connect_timeout` is not known"),
        ("postgres://tally:c4n4ry@no-such-host.invalid/tally", "no-such-host.invalid, port 5432"),
    ];
    for (url, told) in urls {
        for (name, arguments) in
            [("tally-serve", ["--listen", "127.0.0.1:0"]), ("tally-train", ["churn", "--all"])]
        {
            let arguments = if name == "tally-train" { &arguments[..1] } else { &arguments[..] };
            let output = program(name, url).env("TALLY_LOG", "trace").args(arguments).output().unwrap();
            let all = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
            assert!(!output.status.success() && all.contains(told), "{name} {url}: {all}");
            assert!(!all.contains("c4n4ry"), "{name} {url}: {all}");
        }
    }
}
