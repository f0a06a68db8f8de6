//! `tally customers` against a small server.

use std::process::{Command, Stdio};

use crate::fake::{serve, tally};

#[tokio::test]
async fn a_customer_is_merged_and_shown() {
    let (fake, url) = serve().await;
    tally(&url, &["customers", "merge", "old", "new", "--yes"]).await.unwrap();
    assert_eq!(fake.0.lock().unwrap().merged, [("old".to_owned(), "new".to_owned())]);
    tally(&url, &["customers", "get", "new", "--json"]).await.unwrap();
    let error = tally(&url, &["customers", "get", "nobody"]).await.unwrap_err().to_string();
    assert!(error.contains("no customer `nobody` is stored"), "{error}");
}

#[tokio::test]
async fn what_a_customer_and_a_merge_look_like() {
    let (_fake, url) = serve().await;
    for (arguments, expected) in [
        (vec!["get", "C1"], "customer  C1\n"),
        (vec!["merge", "C2", "C1", "--yes"], "C2 is merged into C1\n\ncustomer  C1\n"),
        (
            vec!["export", "C1"],
            "{\"customer\":{\"attributes\":null,\"create_time\":null,\"customer_id\":\"C1\",\"merged_customer_ids\":[],\"name\":\"\"}}\n\
             {\"row\":{\"table\":\"customers\",\"values\":{}}}\n",
        ),
        (vec!["delete", "C1", "--yes"], "C1 is erased\n"),
        (vec!["delete", "C1", "--yes", "--json"], "{}\n"),
    ] {
        let (success, output, _) = program(&url, &arguments).await;
        assert!(success);
        assert_eq!(output, expected);
    }
}

#[tokio::test]
async fn erasing_without_a_terminal_needs_a_yes() {
    let (fake, url) = serve().await;
    let (success, _, error) = program(&url, &["delete", "C1"]).await;
    assert!(!success && error.contains("--yes"), "{error}");
    assert!(fake.0.lock().unwrap().deleted.is_empty());
    program(&url, &["delete", "C1", "--yes"]).await;
    assert_eq!(fake.0.lock().unwrap().deleted, ["C1"]);
}

#[tokio::test]
async fn merging_without_a_terminal_needs_a_yes() {
    let (fake, url) = serve().await;
    let (success, _, error) = program(&url, &["merge", "C2", "C1"]).await;
    assert!(!success && error.contains("--yes"), "{error}");
    let (success, _, error) = program(&url, &["merge", "nobody", "C1"]).await;
    assert!(!success && error.contains("no customer `nobody` is stored"), "{error}");
    assert!(fake.0.lock().unwrap().merged.is_empty());
    program(&url, &["merge", "C2", "C1", "--yes"]).await;
    assert_eq!(fake.0.lock().unwrap().merged, [("C2".to_owned(), "C1".to_owned())]);
}

/// Runs `tally customers` as a program whose standard input is no terminal: whether it succeeds, its output and
/// its errors.
async fn program(url: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"));
    program.env_clear().args(["--server", url, "customers"]).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}
