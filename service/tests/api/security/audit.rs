//! The audit log.

use tally_proto::v1;
use tonic::Request;

use super::{Secured, token_entry};
use crate::support::{Database, Tally, customer, interaction, on_both_stores};

on_both_stores!(what_is_done_is_in_the_log, several_servers_append_to_one_chain, a_changed_log_is_found_out);

async fn events(tally: &Tally, request: v1::ListAuditEventsRequest) -> v1::ListAuditEventsResponse {
    tally.deployment().list_audit_events(request).await.unwrap().into_inner()
}

async fn what_is_done_is_in_the_log(tally: Tally) {
    tally.upsert(["a", "b", "c"].map(|id| customer(id, "2024-01-01", &[])).into()).await.unwrap();
    tally.backfill(vec![interaction("c", "i", "visit", "2024-01-02")]).await.unwrap();
    // The first amounts settle how many decimals they have.
    let batch = v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "j", "visit", "2024-01-02")],
        amount_decimals: Some(2),
        ..Default::default()
    };
    for _ in 0..2 {
        tally.interactions().record_interactions(batch.clone()).await.unwrap();
    }
    tally.retract(&[("c", "i")]).await.unwrap();
    tally.merge("a", "b").await.unwrap();
    let export = v1::ExportCustomerRequest { customer_id: "b".to_owned() };
    tally.customers().export_customer(export).await.unwrap();
    let mut delete = Request::new(v1::DeleteCustomerRequest { customer_id: "a".to_owned() });
    delete.metadata_mut().insert("x-request-id", "erase-1".parse().unwrap());
    tally.customers().delete_customer(delete).await.unwrap();
    // What fails is counted.
    for _ in 0..3 {
        tally.delete("nobody").await.unwrap_err();
    }
    tally.app().audit.flush().await;

    let oldest_first = v1::ListAuditEventsRequest { oldest_first: true, ..Default::default() };
    let log = events(&tally, oldest_first).await;
    let shown: Vec<(&str, &str, i64)> =
        log.events.iter().map(|event| (event.action.as_str(), event.outcome.as_str(), event.count)).collect();
    let expected = [
        ("SetAmountDecimals", "OK", 1),
        ("RetractInteractions", "OK", 1),
        ("MergeCustomers", "OK", 1),
        ("MergeCustomers", "OK", 1),
        ("ExportCustomer", "OK", 1),
        ("DeleteCustomer", "OK", 1),
        ("DeleteCustomer", "OK", 1),
        ("DeleteCustomer", "NOT_FOUND", 3),
    ];
    assert_eq!(shown, expected);
    assert!(log.events.iter().all(|event| event.caller == "127.0.0.1"), "{log:?}");
    assert_eq!(log.events[5].request_id, "erase-1");
    assert_eq!((log.head_sequence, &log.head_hash), (8, &log.events[7].hash));
    // A customer is found by its id, which is not in the log.
    let of_a = v1::ListAuditEventsRequest { customer_id: "a".to_owned(), page_size: 1, ..Default::default() };
    let first = events(&tally, of_a.clone()).await;
    assert_eq!((first.total_size, first.events[0].action.as_str()), (2, "DeleteCustomer"));
    let second =
        events(&tally, v1::ListAuditEventsRequest { page_token: first.next_page_token, ..of_a }).await;
    assert_eq!(second.events[0].action, "MergeCustomers");
    assert_ne!(log.events[2].customer_hash, log.events[3].customer_hash);
    assert!(tally.cli(&["audit", "verify"]).starts_with("the audit log is whole: 8 events"));
}

async fn several_servers_append_to_one_chain(tally: Tally) {
    let other = Tally::start(tally.database.again()).await;
    let item = |n: usize| interaction(&format!("c{n}"), "i", "visit", "2024-01-02");
    tally.backfill((0..40).map(item).collect()).await.unwrap();
    let retract = |n: usize| {
        let mut client = if n.is_multiple_of(2) { tally.interactions() } else { other.interactions() };
        let key = v1::InteractionKey { customer_id: format!("c{n}"), interaction_id: "i".to_owned() };
        let request = v1::RetractInteractionsRequest { keys: vec![key], reason: String::new() };
        tokio::spawn(async move { client.retract_interactions(request).await })
    };
    let calls: Vec<_> = (0..40).map(retract).collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert!(tally.cli(&["audit", "verify"]).starts_with("the audit log is whole: 40 events"));
}

async fn a_changed_log_is_found_out(tally: Tally) {
    for id in ["a", "b", "c"] {
        tally.upsert(vec![customer(id, "2024-01-01", &[])]).await.unwrap();
        tally.delete(id).await.unwrap();
    }
    let whole = tally.cli(&["audit", "verify", "--json"]);
    let head = whole.split("\"head_hash\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let broken = || {
        let output = tally.try_cli(&["audit", "verify", "--head", &head]);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    let triggers: &[&str] = match tally.database.is_sqlite() {
        true => &["DROP TRIGGER audit_log_stays", "DROP TRIGGER audit_log_is_kept"],
        false => &["DROP TRIGGER audit_log_stays ON audit_log"],
    };
    for statement in triggers {
        tally.database.sql(statement).await;
    }
    tally.database.sql("UPDATE audit_log SET caller = 'somebody else' WHERE sequence = 2").await;
    assert!(broken().contains("broken at event 2: its hash"));
    tally.database.sql("UPDATE audit_log SET caller = '127.0.0.1' WHERE sequence = 2").await;
    assert!(tally.cli(&["audit", "verify", "--head", &head]).contains("3 events"));
    tally.database.sql("DELETE FROM audit_log WHERE sequence = 3").await;
    assert!(broken().contains("broken at event 3: it is missing"));
    // Who also changes the end that the database keeps.
    let end = "UPDATE audit_head SET sequence = 2, hash = (SELECT hash FROM audit_log WHERE sequence = 2)";
    tally.database.sql(end).await;
    assert!(broken().contains("no event has the hash of --head"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_cannot_be_changed_by_mistake() {
    for database in Database::both().await {
        let tally = Tally::start(database).await;
        tally.upsert(vec![customer("a", "2024-01-01", &[])]).await.unwrap();
        tally.delete("a").await.unwrap();
        for statement in ["UPDATE audit_log SET count = 2", "DELETE FROM audit_log"] {
            let database = tally.database.again();
            let refused = tokio::spawn(async move { database.sql(statement).await }).await;
            assert!(refused.is_err(), "{statement}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_calls_are_counted_by_caller_and_rpc() {
    let tokens = token_entry("crm", "tally_read", "read", "");
    let mut server = Secured::with_tokens(&tokens, &[]);
    let client = server.client().await;
    let delete = "/tally.v1.CustomerService/DeleteCustomer";
    for _ in 0..30 {
        client.call("/tally.v1.ModelService/ListModels", &[]).await.unwrap_err();
        client.call(delete, &["Bearer tally_read"]).await.unwrap_err();
        client.call("/tally.v1.NoService/Nothing", &[]).await.unwrap_err();
    }
    drop(client);
    server.process.signal_term();
    server.process.wait();
    for (caller, action, outcome) in
        [("127.0.0.1", "ListModels", "UNAUTHENTICATED"), ("crm", "DeleteCustomer", "PERMISSION_DENIED")]
    {
        let row = format!(
            "SELECT count FROM audit_log WHERE caller = '{caller}' AND action = '{action}' AND outcome = '{outcome}'"
        );
        assert_eq!(server.database.sql(&row).await, Some(30));
    }
    assert_eq!(server.database.sql("SELECT count(*) FROM audit_log").await, Some(2));
}
