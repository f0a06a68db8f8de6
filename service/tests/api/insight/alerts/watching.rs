//! Lists, watches and acknowledgements.

use std::path::Path;

use tally_model::time::Time;
use tally_proto::v1;
use tonic::{Code, Streaming};

use super::{COMPLAINTS, complaint, subjects};
use crate::support::{Database, DirectConnection, Tally, assert_refused, eventually, on_both_stores};

on_both_stores!(
    a_watch_resumes_and_has_the_alerts_of_other_servers,
    alerts_are_filtered_and_acknowledged_once,
    a_merge_moves_alerts_and_an_erasure_erases_them,
);

async fn watch(tally: &Tally, cursor: &str, only_new: bool) -> Streaming<v1::WatchAlertsResponse> {
    let request = v1::WatchAlertsRequest { cursor: cursor.to_owned(), only_new };
    tally.insights().watch_alerts(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<v1::WatchAlertsResponse>) -> v1::WatchAlertsResponse {
    let message = tokio::time::timeout(std::time::Duration::from_secs(60), stream.message()).await;
    message.expect("a message within a minute").unwrap().expect("the watch goes on")
}

fn customer(message: &v1::WatchAlertsResponse) -> &str {
    &message.alert.as_ref().unwrap().customer_id
}

async fn a_watch_resumes_and_has_the_alerts_of_other_servers(mut tally: Tally) {
    let complaints = ["a", "b", "c"].iter().zip([2_000, 1_999, 1_998]);
    tally.backfill(complaints.map(|(id, minutes)| complaint(id, "1", minutes)).collect()).await.unwrap();
    let server = Tally::with_alerts(tally.database.again(), COMPLAINTS, Path::new("")).await;
    let mut all = watch(&tally, "", false).await;
    let first = [next(&mut all).await, next(&mut all).await, next(&mut all).await];
    assert_eq!(first.each_ref().map(customer), ["a", "b", "c"]);
    let mut new = watch(&tally, "", true).await;
    let start = next(&mut new).await;
    assert_eq!(start.alert, None);

    let mut resumed = watch(&tally, &first[0].cursor, false).await;
    assert_eq!([customer(&next(&mut resumed).await), customer(&next(&mut resumed).await)], ["b", "c"]);
    tally.record(vec![complaint("d", "1", 1_990)]).await;
    for stream in [&mut all, &mut new, &mut resumed] {
        let message = next(stream).await;
        assert_eq!(customer(&message), "d");
    }
    // Where a watch of new alerts started is a cursor as any other.
    let mut again = watch(&server, &start.cursor, false).await;
    assert_eq!(customer(&next(&mut again).await), "d");
    let request = v1::WatchAlertsRequest { cursor: "there".to_owned(), only_new: false };
    let refused = tally.insights().watch_alerts(request).await.map(drop);
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["cursor"]);
    drop((all, new));
    tally.stop().await;
    assert_eq!(resumed.message().await.unwrap(), None, "a server that stops ends its watches");
}

async fn alerts_are_filtered_and_acknowledged_once(tally: Tally) {
    let rules = format!("{COMPLAINTS}{}", COMPLAINTS.replace("slow", "slower").replace("24", "48"));
    let complaints = [("ada", 1_500), ("bob", 3_000), ("cy", 4_000)];
    tally.backfill(complaints.map(|(id, minutes)| complaint(id, "1", minutes)).to_vec()).await.unwrap();
    let server = Tally::with_alerts(tally.database.again(), &rules, Path::new("")).await;
    let alerts = tally.wait_for_alerts(5).await;
    let all = [("slow", "ada"), ("slow", "bob"), ("slow", "cy"), ("slower", "bob"), ("slower", "cy")];
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(rule, id)| ((*rule).to_owned(), (*id).to_owned())).collect()
    };
    assert_eq!(subjects(&alerts), owned(&all));
    assert!(alerts.iter().all(|alert| alert.delivery.is_none() && alert.limit_value.is_some()));
    let seconds = |alert: &v1::Alert| alert.create_time.map(|time| (time.seconds, time.nanos));
    assert!(alerts.is_sorted_by_key(|alert| std::cmp::Reverse(seconds(alert))));

    let acknowledge = async |alert_id: &str, who: &str| {
        let (alert_id, who, note) = (alert_id.to_owned(), who.to_owned(), "I call".to_owned());
        let request = v1::AcknowledgeAlertRequest { alert_id, who, note };
        tally.insights().acknowledge_alert(request).await.map(|reply| reply.into_inner().alert.unwrap())
    };
    let id = &alerts.iter().find(|alert| alert.customer_id == "ada").unwrap().alert_id;
    let seen = acknowledge(id, "eve").await.unwrap();
    assert_eq!((seen.acknowledged_by.as_str(), seen.note.as_str()), ("eve", "I call"));
    assert!(seen.acknowledge_time.is_some());
    assert_eq!(acknowledge(id, "eve").await.unwrap(), seen, "a call is repeated");
    let refused = acknowledge(id, "mallory").await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    let time = seen.acknowledge_time.unwrap();
    let when = Time(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000);
    assert!(message.contains(&format!("was acknowledged by `eve` at {when}")), "{message}");
    assert_refused(refused, Code::FailedPrecondition, "ALREADY_ACKNOWLEDGED", &[]);
    let stored = tally.alerts(v1::ListAlertsRequest { acknowledged: Some(true), ..Default::default() }).await;
    assert_eq!(stored, [seen], "the first one stays");
    let shown = tally.cli(&["alerts", "list", "--customer", "ada"]);
    assert!(
        shown.contains(&format!("eve {}", &when.to_string()[..19])) && shown.contains("I call"),
        "{shown}"
    );
    assert_refused(acknowledge("there", "eve").await, Code::NotFound, "ALERT_NOT_FOUND", &[]);
    assert_refused(acknowledge("", "").await, Code::InvalidArgument, "INVALID_REQUEST", &["alert_id", "who"]);

    let listed = async |filter: v1::ListAlertsRequest| {
        let total = tally.count_alerts(filter.clone()).await;
        let alerts = tally.alerts(filter).await;
        assert_eq!(alerts.len() as i64, total);
        subjects(&alerts)
    };
    let none = v1::ListAlertsRequest::default;
    assert_eq!(listed(v1::ListAlertsRequest { rule: "slower".into(), ..none() }).await, owned(&all[3..]));
    assert_eq!(listed(v1::ListAlertsRequest { customer_id: "ada".into(), ..none() }).await, owned(&all[..1]));
    assert_eq!(listed(v1::ListAlertsRequest { acknowledged: Some(true), ..none() }).await, owned(&all[..1]));
    assert_eq!(listed(v1::ListAlertsRequest { acknowledged: Some(false), ..none() }).await, owned(&all[1..]));
    assert_eq!(listed(v1::ListAlertsRequest { kind: "complaint_open".into(), ..none() }).await, owned(&all));
    assert_eq!(listed(v1::ListAlertsRequest { kind: "lead_hot".into(), ..none() }).await, []);
    assert_eq!(listed(v1::ListAlertsRequest { delivery_state: 1, ..none() }).await, []);
    let bad = v1::ListAlertsRequest { kind: "sad".into(), delivery_state: 9, page_size: -1, ..none() };
    let refused = tally.insights().list_alerts(bad).await;
    let fields = ["page_size", "kind", "delivery_state"];
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &fields);
    let of_server = "the rules of this server are `slow`, `slower`";
    for (server, rules) in [(&tally, "this server has no rules"), (&server, of_server)] {
        let misspelt = v1::ListAlertsRequest { rule: "slowest".into(), ..none() };
        let refused = server.insights().list_alerts(misspelt).await;
        let message = refused.as_ref().unwrap_err().message().to_owned();
        let named = format!("rule: is `slowest`, which is no rule and has no alerts; {rules}");
        assert!(message.contains(&named), "{message}");
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["rule"]);
    }
    let seen = "SELECT count(*) FROM v_alerts WHERE acknowledged_by = 'eve' AND delivery_state = 'none'";
    assert_eq!(tally.database.sql(seen).await, Some(1));
    let shown = tally.cli(&["alerts", "list", "--open", "--rule", "slower"]);
    assert!(shown.contains("showing 2 of 2") && shown.contains("bob") && shown.contains("cy"), "{shown}");
    let slower: Vec<&v1::Alert> = alerts.iter().filter(|alert| alert.rule == "slower").collect();
    assert!(slower.iter().all(|alert| shown.contains(&format!("id {}", alert.alert_id))), "{shown}");
    tally.cli(&["alerts", "ack", &slower[0].alert_id]);
    assert_eq!(tally.count_alerts(v1::ListAlertsRequest { acknowledged: Some(true), ..none() }).await, 2);
}

async fn a_merge_moves_alerts_and_an_erasure_erases_them(tally: Tally) {
    let receiver = super::receiver::Receiver::start(|_, _| super::receiver::Answer::Status(500)).await;
    let rules = format!("{COMPLAINTS}{}", receiver.table());
    tally.backfill(vec![complaint("ada", "1", 2_000), complaint("bob", "1", 2_000)]).await.unwrap();
    let _server = Tally::with_alerts(tally.database.again(), &rules, receiver.folder()).await;
    tally.wait_for_alerts(2).await;
    tally.merge("bob", "ada").await.unwrap();
    let both = [("slow".to_owned(), "ada".to_owned()), ("slow".to_owned(), "ada".to_owned())];
    assert_eq!(subjects(&tally.wait_for_alerts(2).await), both);
    // A complaint under the merged id is one of the survivor's; one that was alerted is not again.
    tally.record(vec![complaint("bob", "2", 1_900), complaint("cy", "1", 1_900)]).await;
    let alerts = tally.wait_for_alerts(4).await;
    assert_eq!(alerts.iter().filter(|alert| alert.customer_id == "ada").count(), 3);
    for customer_id in ["ada", "bob"] {
        let request = v1::ListAlertsRequest { customer_id: customer_id.to_owned(), ..Default::default() };
        let found = tally.insights().list_alerts(request).await.unwrap().into_inner();
        assert_eq!((found.alerts.len(), found.total_size), (3, 3), "{customer_id}");
    }

    tally.delete("bob").await.unwrap();
    assert_eq!(subjects(&tally.wait_for_alerts(1).await), [("slow".to_owned(), "cy".to_owned())]);
    for table in ["alerts", "alert_deliveries"] {
        let rows = tally.database.sql(&format!("SELECT count(*) FROM {table}")).await;
        assert_eq!(rows, Some(1), "{table}");
    }
    eventually(async || receiver.received().iter().any(|one| one.customer() == "cy")).await;
}

/// Only the row that orders alerts keeps the two apart. In SQLite nobody writes at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_is_being_stored_is_erased_with_its_customer() {
    let tally = Tally::start(Database::in_cluster().await).await;
    tally.backfill(vec![complaint("ada", "1", 2_000), complaint("bob", "1", 2_000)]).await.unwrap();
    let server = Tally::with_alerts(tally.database.again(), COMPLAINTS, Path::new("")).await;
    tally.wait_for_alerts(2).await;
    drop(server);
    let mut other = DirectConnection::open(&tally).await;
    other.execute("BEGIN").await;
    other.execute("UPDATE alert_counter SET last_sequence = last_sequence + 1").await;
    let columns = "sequence, rule, kind, subject, cause, as_of_time, create_time, message";
    let more = format!(
        "INSERT INTO alerts (customer_id, alert_id, {columns}) \
         SELECT customer_id, 'another', 9, 'another rule', {} FROM alerts WHERE customer_id = 'ada'",
        &columns["sequence, rule, ".len()..]
    );
    other.execute(&more).await;
    let mut erasing = Box::pin(async { tally.delete("ada").await.unwrap() });
    let waits = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    tokio::select! {
        biased;
        () = &mut erasing => panic!("an erasure waits until alerts are stored"),
        () = eventually(async || tally.database.sql(waits).await != Some(0)) => {}
    }
    other.execute("COMMIT").await;
    erasing.await;
    let left = tally.alerts(v1::ListAlertsRequest::default()).await;
    assert_eq!(subjects(&left), [("slow".to_owned(), "bob".to_owned())]);
}
