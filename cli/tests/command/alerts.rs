//! `tally alerts` against a small server.

use std::process::{Command, Stdio};

use tally_proto::v1::{ListAlertsRequest, WatchAlertsRequest};

use crate::fake::{InsightRequest, Knowledge, serve};

/// Runs `tally alerts` as a program: whether it succeeds, its output and its errors.
async fn program(url: &str, line: &str) -> (bool, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"));
    program.env_clear().args(["--server", url, "alerts"]).args(line.split(' ')).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn commands_become_requests() {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge::default());
    let list = "list --rule r --kind lead_hot --customer C1 --open --delivery parked --limit 5";
    let (success, output, _) = program(&url, list).await;
    assert!(success && output.starts_with("no alerts; showing 0 of 0"), "{output}");
    let (success, output, error) = program(&url, "watch").await;
    assert!(!success && output.contains("hot lead  C1: it became A"), "{output}");
    assert!(error.contains("`tally alerts watch --cursor CURSOR` goes on"), "{error}");
    let (_, output, _) = program(&url, "watch --cursor OLD --json").await;
    let message: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&message["cursor"], &message["alert"]["customer_id"]), (&"CURSOR".into(), &"C1".into()));
    let (success, output, _) = program(&url, "ack ID --note calling").await;
    assert!(success && output.contains("acknowledged by ada@desk") && output.contains("calling"), "{output}");
    let requests = std::mem::take(&mut fake.0.lock().unwrap().insights);
    let [listed, new, old, InsightRequest::Acknowledge(seen)] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    let text = str::to_owned;
    let expected = ListAlertsRequest {
        rule: text("r"),
        kind: text("lead_hot"),
        customer_id: text("C1"),
        acknowledged: Some(false),
        delivery_state: 3,
        page_size: 5,
        page_token: String::new(),
    };
    assert_eq!(*listed, InsightRequest::Alerts(expected));
    let watch = |cursor: &str, only_new| {
        InsightRequest::Watch(WatchAlertsRequest { cursor: cursor.to_owned(), only_new })
    };
    assert_eq!((new, old), (&watch("", true), &watch("OLD", false)));
    assert_eq!((seen.alert_id.as_str(), seen.note.as_str()), ("ID", "calling"));
    assert!(seen.who.contains('@'), "{seen:?}");
}
