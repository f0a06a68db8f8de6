//! `tally audit` against a small server.

use prost_types::Timestamp;
use tally_proto::v1::AuditEvent;

use crate::fake::{Knowledge, serve, tally};

/// The hash of an event, computed with hashlib of Python 3.13 from the definition in audit.proto:
/// `sha256(bytes(32) + pack(">qqq", 1, 1_700_000_000_000_001, 1) + b"".join(pack(">Q", len(b)) + b for b in fields))`.
const FIRST: &str = "032a1be85339209ae10861a384b009d5cb48e5b98e9e3ba4bcc39f559aa0bb3c";
/// The same of the second event, after the first.
const SECOND: &str = "d8599a790266a1bdaf3f71d176a7ea75cf64793163df5af4792334bd1f5c0284";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap()).collect()
}

/// A log of two events.
fn log() -> Vec<AuditEvent> {
    let first = AuditEvent {
        sequence: 1,
        event_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 1_000 }),
        caller: "ada from 127.0.0.1".to_owned(),
        request_id: "r-1".to_owned(),
        action: "DeleteCustomer".to_owned(),
        subject: String::new(),
        customer_hash: vec![7; 32],
        outcome: "OK".to_owned(),
        count: 1,
        hash: bytes(FIRST),
    };
    let second = AuditEvent {
        sequence: 2,
        event_time: Some(Timestamp { seconds: 1_700_000_060, nanos: 0 }),
        caller: "bob".to_owned(),
        request_id: String::new(),
        action: "PromoteModel".to_owned(),
        customer_hash: Vec::new(),
        outcome: "PERMISSION_DENIED".to_owned(),
        count: 12,
        hash: bytes(SECOND),
        ..first.clone()
    };
    vec![first, second]
}

/// Verifies a log with this end. Returns what is wrong.
async fn verify(audit: Vec<AuditEvent>, end: (i64, &str), head: Option<&str>) -> Option<String> {
    let (fake, url) = serve().await;
    let audit_head = (end.0, bytes(end.1));
    fake.0.lock().unwrap().knows = Some(Knowledge { audit, audit_head, ..Knowledge::default() });
    let mut arguments = vec!["audit", "verify"];
    arguments.extend(head.map(|head| ["--head", head]).into_iter().flatten());
    tally(&url, &arguments).await.err().map(|error| error.to_string())
}

#[tokio::test]
async fn a_log_is_whole_when_its_hashes_are_those_of_the_contract() {
    for head in [None, Some(FIRST), Some(SECOND)] {
        assert_eq!(verify(log(), (2, SECOND), head).await, None);
    }
    // Somebody appended an event after the end was read.
    assert_eq!(verify(log(), (1, FIRST), None).await, None);
}

#[tokio::test]
async fn whatever_is_changed_or_missing_is_found() {
    let changes: [fn(&mut AuditEvent); 9] = [
        |event| event.event_time = Some(Timestamp { seconds: 1_700_000_000, nanos: 2_000 }),
        |event| event.caller.push('x'),
        |event| event.request_id.clear(),
        |event| event.action = "ExportCustomer".to_owned(),
        |event| event.subject.push('x'),
        |event| event.customer_hash[0] = 8,
        |event| event.outcome = "NOT_FOUND".to_owned(),
        |event| event.count = 2,
        // What moves from one field into the next.
        |event| (event.caller, event.request_id) = ("ada from 127.0.0.1r".to_owned(), "-1".to_owned()),
    ];
    for change in changes {
        let mut changed = log();
        change(&mut changed[0]);
        let broken = verify(changed, (2, SECOND), None).await.unwrap();
        assert!(broken.contains("broken at event 1: its hash"), "{broken}");
    }
    let without = |n: usize| {
        let mut events = log();
        events.remove(n);
        events
    };
    for (events, end, head, expected) in [
        (without(0), (2, SECOND), None, "broken at event 1: it is missing"),
        (without(1), (2, SECOND), None, "broken at event 2: it is missing, and so are all"),
        (without(1), (1, SECOND), None, "broken at event 1: its hash is not the one that the server keeps"),
        // Who can change the end that the server keeps as well.
        (without(1), (1, FIRST), Some(SECOND), "broken at event 2: no event has the hash of --head"),
    ] {
        let broken = verify(events, end, head).await.unwrap();
        assert!(broken.contains(expected), "{broken}");
    }
}

#[tokio::test]
async fn events_are_listed() {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge { audit: log(), ..Knowledge::default() });
    tally(&url, &["audit", "list", "--limit", "1"]).await.unwrap();
    tally(&url, &["audit", "list", "--customer", "c", "--json"]).await.unwrap();
}
