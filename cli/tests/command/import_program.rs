//! `tally import` as a program: standard input and output, and exit codes.

use std::{
    fs,
    process::{Output, Stdio},
};

use serde_json::Value;
use tally_proto::v1::RecordInteractionsResponse;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::fake::{Knowledge, serve};

/// Runs `tally import` with this standard input.
async fn run(url: &str, args: &[&str], stdin: &str) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"))
        .args([&["--server", url, "import"], args].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = program.stdin.take().unwrap();
    // The program may end without reading it.
    drop(input.write_all(stdin.as_bytes()).await);
    drop(input);
    program.wait_with_output().await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

const ROWS: &str = "interaction_id,customer_id,kind,occur_time,amount,units\n\
                    1,K1,purchase,2025-03-01,12.50,3\n2,K2,visit,2025-03-02,,NULL\n3,K2,visit,2025-03-03,,4\n";

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_a_file() {
    let (fake, url) = serve().await;
    let output = run(&url, &["--interactions", "-", "--backfill"], ROWS).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("0 customers upserted, 3 interactions recorded, 0 duplicates"));
    let shown = text(&output.stderr);
    for part in [
        "standard input: 3 interactions, UTF-8, separated by commas",
        "from 2025-03-01T00:00:00Z to 2025-03-03T00:00:00Z",
        "kinds: visit 2, purchase 1",
        "1, such as `NULL`",
        "note: standard input: amounts have up to 2 decimals",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(fake.0.lock().unwrap().batches[0].interactions.len(), 3);
    let output = run(&url, &["--interactions", "-", "--customers", "-"], ROWS).await;
    assert!(text(&output.stderr).contains("standard input: can be only one of the files"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doubts_end_the_program_with_code_2() {
    let (fake, url) = serve().await;
    let rows = ROWS.replace("visit,2025-03-02", "purchase,2025-03-02").replace(",,NULL", ",-1,");
    let output = run(&url, &["--interactions", "-"], &rows).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("negative") && output.stdout.is_empty());
    let output = run(&url, &["--interactions", "-", "--json"], &rows).await;
    assert_eq!(output.status.code(), Some(2));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(findings["findings"]["doubts"][0]["code"], "NEGATIVE_PURCHASES");
    assert_eq!(findings["findings"]["files"][0]["bad_rows"]["first"][0]["line"], 3);
    let bad = ROWS.replace("2025-03-02", "soon");
    assert_eq!(run(&url, &["--interactions", "-"], &bad).await.status.code(), Some(2));
    assert!(fake.0.lock().unwrap().batches.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn json_has_the_totals_and_the_findings() {
    let (fake, url) = serve().await;
    let recorded = RecordInteractionsResponse { late: 3, skipped: 2, moved: 1, ..Default::default() };
    fake.0.lock().unwrap().knows = Some(Knowledge { recorded, ..Default::default() });
    let output = run(&url, &["--interactions", "-", "--json"], ROWS).await;
    let totals: Value = serde_json::from_slice(&output.stdout).unwrap();
    let counts =
        ["recorded", "late", "skipped", "moved", "corrected"].map(|name| totals[name].as_i64().unwrap());
    assert_eq!(counts, [3, 3, 2, 1, 0]);
    let file = &totals["findings"]["files"][0];
    assert_eq!((&file["rows"], &file["kinds"]["visit"]), (&Value::from(3), &Value::from(2)));
    let units = file["columns"].as_array().unwrap().iter().find(|column| column["name"] == "units").unwrap();
    assert_eq!(
        (units["read_as"].as_str(), units["values"].as_u64(), units["set_aside"].as_u64()),
        (Some("number"), Some(2), Some(1))
    );
    let warning = text(&output.stderr);
    assert!(
        warning.contains("warning: 3 of 3 new interactions") && warning.contains("again with --backfill"),
        "{warning}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_prints_what_it_finds() {
    let (_fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.csv");
    fs::write(&path, "customer_id,create_time,charges\nK1,2025-01-01,1.5\nK2,2025-01-01, \nK3,,N/A\n")
        .unwrap();
    let output = run(&url, &["--customers", path.to_str().unwrap(), "--check"], "").await;
    assert!(output.status.success());
    let shown = text(&output.stdout);
    let line = shown.lines().find(|line| line.trim_start().starts_with("charges")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words, ["charges", "number", "1", "1", "1,", "such", "as", "`N/A`"]);
}
