//! Signals that end a training.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{Database, Tally, business, program, text, time};

const NOW: &str = "2024-06-01";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_that_a_signal_ends_says_what_is_stored_and_closes_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("tally.db").display());
    let mut tally = Tally::start(Database::at(url.clone())).await;
    tally.simulate(&business(600, 7, time(NOW))).await;
    tally.stop().await;
    drop(tally);
    for signal in ["-INT", "-TERM", "-HUP"] {
        // The program waits for its spec in a pipe: then it listens for signals, and has not begun to train.
        let spec = folder.path().join("spec.toml");
        assert!(Command::new("mkfifo").arg(&spec).status().unwrap().success());
        let report = folder.path().join("report.json");
        fs::write(&report, "of before").unwrap();
        let mut command = program("tally-train", &url);
        command.args(["churn", "--as-of", NOW, "--spec", text(&spec), "--report-out", text(&report)]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = OpenOptions::new().write(true).open(&spec).unwrap();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        pipe.write_all(b"[features]\n").unwrap();
        drop(pipe);
        let ended = child.wait_with_output().unwrap();
        let message = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), message.trim_end()),
            (Some(130), "stopped; no model was stored"),
            "{signal}"
        );
        assert_eq!(fs::read_to_string(&report).unwrap(), "of before");
        fs::remove_file(&report).unwrap();
        fs::remove_file(&spec).unwrap();
        let left: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["tally.db"], "{signal}");
    }
}
