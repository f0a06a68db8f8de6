//! Signals that end the programs, and what these leave behind.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
};

use crate::support::{Database, ServeProcess, Tally, business, program, text, time};

/// Starts a program and waits until it logs that a step is done.
fn start_until(mut command: Command, step: &str) -> (Child, BufReader<ChildStderr>) {
    command.env("TALLY_LOG", "warn,tally_service=debug").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(&format!("step=\"{step}\"")) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the program ends without the step {step}");
    }
    (child, log)
}

/// Sends a signal and waits for the end. Returns the exit code and what is logged meanwhile.
fn interrupt((mut child, mut log): (Child, BufReader<ChildStderr>), signal: &str) -> (Option<i32>, String) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    (child.wait().unwrap().code(), rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_training_stores_nothing_and_says_so() {
    for database in Database::both().await {
        let tally = Tally::start(database).await;
        tally.simulate(&business(600, 7, time("2024-06-01"))).await;
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.html");
        let mut train = program("tally-train", &tally.database.url);
        train.args(["churn", "--as-of", "2024-01-01", "--report-out", text(&report)]);
        let (code, message) = interrupt(start_until(train, "reading histories"), "-INT");
        assert_eq!(code, Some(130), "{message}");
        let said = "error: churn: SIGINT (Ctrl-C): no churn model is stored by this training";
        assert!(message.contains(said), "{message}");
        assert_eq!(tally.all_models().await.len(), 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn an_interrupted_demo_goes_on_where_it_ended_or_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let demo = |database: Option<&str>| {
        let mut command = program("tally-serve", "");
        command.env_remove("TALLY_DATABASE").env("TMPDIR", folder.path());
        command.args(["--demo", "--demo-customers", "600", "--listen", "127.0.0.1:0"]);
        if let Some(database) = database {
            command.args(["--database", database]);
        }
        command
    };
    let (code, message) = interrupt(start_until(demo(None), "simulating a business"), "-HUP");
    assert_eq!(code, Some(129), "{message}");
    assert!(
        message.contains("SIGHUP: the demo is not complete; its temporary database is removed"),
        "{message}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let database = format!("sqlite://{}", text(&folder.path().join("demo.db")));
    let (code, message) = interrupt(start_until(demo(Some(&database)), "simulating a business"), "-TERM");
    assert_eq!(code, Some(143), "{message}");
    let said = "SIGTERM: the demo is not complete; 600 customers are stored; starting it again completes it";
    assert!(message.contains(said), "{message}");
    let mut process = ServeProcess::spawn(demo(Some(&database)));
    assert!(process.banner.contains("600 customers are simulated"));
    assert!(process.terminate().success());
}

#[test]
fn a_closed_terminal_ends_the_server_unless_it_runs_under_nohup() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", text(&folder.path().join("tally.db")));
    let mut process = ServeProcess::start(&database, &[]);
    process.signal("-HUP");
    assert!(process.wait().success());
    let serve = program("tally-serve", &database);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$0\" --listen 127.0.0.1:0", text(serve.get_program().as_ref())]);
    nohup.env_clear().envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut process = ServeProcess::spawn(nohup);
    process.signal("-HUP");
    assert_eq!(process.cli(&["models", "list"]), "no models yet\n");
    assert!(process.terminate().success());
}

#[test]
fn a_report_is_complete_or_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (database, report) = (folder.path().join("tally.db"), folder.path().join("report.json"));
    fs::write(&report, "before").unwrap();
    let database = format!("sqlite://{}", text(&database));
    assert!(ServeProcess::start(&database, &[]).terminate().success());
    let mut train = program("tally-train", &database);
    let output = train.args(["churn", "--report-out", text(&report)]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_to_string(&report).unwrap(), "before");
    let left = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0);
}
