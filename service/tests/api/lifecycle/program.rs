//! The `tally models` commands that move champions.

use super::{
    NOW,
    subscribers::{BLIND, SEEING, store_subscribers},
};
use crate::support::{Database, ServeProcess, Tally, program};

/// Runs `tally models`. Returns what it prints, or the error that it prints.
fn models(process: &ServeProcess, arguments: &[&str]) -> Result<String, String> {
    let mut command = program("tally", "");
    let output = command.args(["--server", &process.url(), "models"]).args(arguments).output().unwrap();
    let (shown, error) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
    if output.status.success() { Ok(shown.unwrap()) } else { Err(error.unwrap()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_moves_champions() {
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &[]);
    let tally = Tally::start(database).await;
    store_subscribers(&tally).await;
    tally.train_with_spec("churn", SEEING, &["--as-of", NOW]);
    tally.train_with_spec("churn", BLIND, &["--as-of", NOW]);
    let run = |arguments: &[&str]| models(&process, arguments);
    let preview = run(&["preview", "churn/2", "--as-of", NOW]).unwrap();
    assert!(preview.contains("customers would change grade"), "{preview}");
    assert!(preview.contains("would refuse: "), "{preview}");
    let refused = run(&["promote", "churn/2"]).unwrap_err();
    assert!(refused.contains("worse than churn/1") && refused.contains("WORSE_THAN_CHAMPION"), "{refused}");
    let moved = run(&["promote", "churn/2", "--force", "--reason", "a try"]).unwrap();
    let by_force = "churn/2 serves now, in place of churn/1, by force: worse than churn/1 on";
    assert!(moved.starts_with(by_force), "{moved}");
    let moved = run(&["rollback", "churn", "--reason", "it was bad"]).unwrap();
    assert_eq!(moved, "churn/1 serves now, in place of churn/2\n");
    let history = run(&["history", "churn"]).unwrap();
    for word in ["a try", "it was bad", "rollback", "forced", "(unchecked) from 127.0.0.1"] {
        assert!(history.contains(word), "{word}: {history}");
    }
    let lines = run(&["history", "churn", "--json"]).unwrap();
    let kinds: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["ROLLBACK", "PROMOTE", "TRAINING"]);
}
