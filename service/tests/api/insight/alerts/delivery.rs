//! Deliveries: at least once, in order within a customer, and nobody waits for anybody else.

use std::{collections::HashMap, path::Path};

use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use super::{
    COMPLAINTS, complaint, metric_sum,
    receiver::{Answer, Received, Receiver},
};
use crate::support::{Tally, eventually, on_both_stores};

on_both_stores!(
    two_servers_deliver_each_alert_once_between_them,
    a_receiver_that_hangs_or_redirects_holds_up_nobody_else,
    a_receiver_is_trusted_by_its_authority_only,
    after_a_day_a_delivery_is_parked_and_holds_back_no_more,
    a_clock_that_is_ahead_ends_no_lease_of_others,
);

async fn pending(tally: &Tally) -> i64 {
    let delivery_state = v1::AlertDeliveryState::Pending.into();
    tally.count_alerts(v1::ListAlertsRequest { delivery_state, ..Default::default() }).await
}

/// The ids of each customer's alerts, in their order.
pub(super) async fn expected(tally: &Tally) -> HashMap<String, Vec<String>> {
    let mut expected: HashMap<String, Vec<String>> = HashMap::new();
    for alert in tally.alerts(v1::ListAlertsRequest::default()).await.into_iter().rev() {
        expected.entry(alert.customer_id).or_default().push(alert.alert_id);
    }
    expected
}

/// No alert is tried before those of the same customer before it were accepted.
fn assert_in_order(received: &[Received], expected: &HashMap<String, Vec<String>>) {
    let mut accepted: HashMap<&str, usize> = HashMap::new();
    for one in received {
        let place = expected[one.customer()].iter().position(|id| id == one.id()).unwrap();
        let before = accepted.entry(one.customer()).or_default();
        assert_eq!(place, *before, "{:?}", one.event);
        *before += usize::from(one.accepted);
    }
}

async fn two_servers_deliver_each_alert_once_between_them(tally: Tally) {
    let receiver = Receiver::start(|_, n| Answer::Status(if n % 2 == 0 { 500 } else { 200 })).await;
    // A lease that a busy machine does not let end.
    let rules = format!("{COMPLAINTS}{}", receiver.patient_table(30));
    let complaints = (0..30_i64).map(|n| complaint(&format!("c{}", n % 10), &format!("k{n}"), 2_000 - n));
    tally.backfill(complaints.collect()).await.unwrap();
    let folder = receiver.folder();
    let servers = [
        Tally::with_alerts(tally.database.again(), &rules, folder).await,
        Tally::with_alerts(tally.database.again(), &rules, folder).await,
    ];
    let alerts = tally.wait_for_alerts(30).await;
    eventually(async || pending(&tally).await == 0).await;

    let (received, expected) = (receiver.received(), expected(&tally).await);
    assert_eq!(receiver.accepted(), expected);
    assert_eq!(received.iter().filter(|one| one.accepted).count(), 30, "each is accepted once");
    assert_in_order(&received, &expected);
    received.iter().for_each(Received::verify);
    let event = &received[0].event;
    let alert = alerts.iter().find(|alert| alert.alert_id == received[0].id()).unwrap();
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", &alert.alert_id),
        ("source", "/tally"),
        ("type", "tally.alert.complaint_open"),
        ("subject", &alert.customer_id),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(event[name], value, "{event}");
    }
    assert_eq!(event["data"]["message"], alert.message.as_str());
    let delivered = tally.alerts(v1::ListAlertsRequest::default()).await;
    let delivered = delivered.iter().filter_map(|alert| alert.delivery.as_ref());
    let tries: i64 = delivered.clone().map(|delivery| delivery.attempts).sum();
    assert_eq!(tries, received.len() as i64);
    assert!(
        delivered.clone().all(|delivery| delivery.deliver_time.is_some() && delivery.last_error.is_empty())
    );
    let tries = async |server: &Tally| metric_sum(server, "tally_alert_deliveries_total{").await;
    assert_eq!((tries(&servers[0]).await + tries(&servers[1]).await) as usize, received.len());
}

async fn a_receiver_that_hangs_or_redirects_holds_up_nobody_else(tally: Tally) {
    let other = Receiver::start(|_, _| Answer::Status(200)).await;
    let elsewhere = format!("http://{}/", other.address);
    let receiver = Receiver::start(move |one, _| match one.customer() {
        "hanging" => Answer::Hang,
        "redirected" => Answer::Redirect(elsewhere.clone()),
        _ => Answer::Status(200),
    })
    .await;
    let rules = format!("{COMPLAINTS}{}", receiver.table());
    let customers = ["hanging", "redirected", "ada", "bob"];
    let complaints = (0..3).flat_map(|n| customers.map(|id| complaint(id, &n.to_string(), 2_000 - n)));
    tally.backfill(complaints.collect()).await.unwrap();
    let _server = Tally::with_alerts(tally.database.again(), &rules, receiver.folder()).await;
    tally.wait_for_alerts(12).await;
    let failed = async |customer: &str, error: &str| {
        let filter = v1::ListAlertsRequest { customer_id: customer.to_owned(), ..Default::default() };
        let alerts = tally.alerts(filter).await;
        alerts.iter().filter_map(|alert| alert.delivery.as_ref()).any(|delivery| delivery.last_error == error)
    };
    eventually(async || failed("hanging", "no answer within 1 s").await).await;
    eventually(async || failed("redirected", "the receiver answered 307").await).await;
    eventually(async || pending(&tally).await == 6).await;

    let expected = expected(&tally).await;
    for (customer, accepted) in receiver.accepted() {
        assert_eq!(accepted, expected[&customer]);
    }
    let tried = |customer: &str| -> Vec<String> {
        let of_customer = receiver.received().into_iter().filter(|one| one.customer() == customer);
        let mut ids: Vec<String> = of_customer.map(|one| one.id().to_owned()).collect();
        ids.dedup();
        ids
    };
    for customer in ["hanging", "redirected"] {
        assert_eq!(tried(customer), expected[customer][..1], "the first one holds back the others");
    }
    assert!(other.received().is_empty(), "redirects are not followed");
}

async fn after_a_day_a_delivery_is_parked_and_holds_back_no_more(tally: Tally) {
    let receiver = Receiver::start(|one, _| {
        let refused = one.event["data"]["rule"] == "slow";
        Answer::Status(if refused { 503 } else { 200 })
    })
    .await;
    // The alerts of a customer are stored in the order of the rules.
    let later = COMPLAINTS.replace("slow", "slower").replace("24", "25");
    let rules = format!("{COMPLAINTS}{later}{}", receiver.table());
    tally.backfill(vec![complaint("ada", "1", 2_000)]).await.unwrap();
    let _server = Tally::with_alerts(tally.database.again(), &rules, receiver.folder()).await;
    tally.wait_for_alerts(2).await;
    eventually(async || !receiver.received().is_empty()).await;
    assert!(receiver.accepted().is_empty());
    let day = if tally.database.is_sqlite() { "86400000000" } else { "INTERVAL '1 day'" };
    // However old an alert is: nobody may have been there to deliver it.
    tally.database.sql(&format!("UPDATE alerts SET create_time = create_time - {day}")).await;
    let tries = receiver.received().len();
    eventually(async || receiver.received().len() > tries + 1).await;
    assert_eq!(pending(&tally).await, 2);
    let first_try = format!("UPDATE alert_deliveries SET first_attempt_time = first_attempt_time - {day}");
    tally.database.sql(&first_try).await;
    eventually(async || pending(&tally).await == 0).await;

    let delivery_state = v1::AlertDeliveryState::Parked.into();
    let parked = tally.alerts(v1::ListAlertsRequest { delivery_state, ..Default::default() }).await;
    let [parked] = parked.as_slice() else { panic!("{parked:?}") };
    assert_eq!(parked.rule, "slow");
    assert_eq!(parked.delivery.as_ref().unwrap().last_error, "the receiver answered 503");
    assert_eq!(receiver.accepted()["ada"].len(), 1);
}

async fn a_clock_that_is_ahead_ends_no_lease_of_others(tally: Tally) {
    let receiver = Receiver::start(|one, _| match one.customer() {
        "hanging" => Answer::Hang,
        _ => Answer::Status(200),
    })
    .await;
    let rules = format!("{COMPLAINTS}{}", receiver.patient_table(60));
    tally.backfill(vec![complaint("hanging", "1", 2_000)]).await.unwrap();
    let _server = Tally::with_alerts(tally.database.again(), &rules, receiver.folder()).await;
    eventually(async || receiver.received().len() == 1).await;
    tally.backfill(vec![complaint("ada", "1", 2_000)]).await.unwrap();
    let an_hour_ahead = || Time(system_clock().0 + DAY / 24);
    let settings = (rules.as_str(), receiver.folder());
    let _ahead = Tally::with_alerts_and_clock(tally.database.again(), settings, an_hour_ahead).await;
    // Found and delivered by the server whose clock is ahead: by that of the other one it is not due yet.
    eventually(async || receiver.accepted().contains_key("ada")).await;
    let tried = receiver.received().into_iter().filter(|one| one.customer() == "hanging");
    assert_eq!(tried.count(), 1);
}

async fn a_receiver_is_trusted_by_its_authority_only(tally: Tally) {
    let receiver = Receiver::with_tls().await;
    let rules = format!("{COMPLAINTS}{}", receiver.table());
    tally.backfill(vec![complaint("ada", "1", 2_000)]).await.unwrap();
    let server = Tally::with_alerts(tally.database.again(), &rules, receiver.folder()).await;
    let refused = async || {
        let alerts = tally.alerts(v1::ListAlertsRequest::default()).await;
        let delivery = alerts.first().and_then(|alert| alert.delivery.clone()).unwrap_or_default();
        delivery.last_error == "the certificate of the receiver is not trusted"
    };
    eventually(refused).await;
    assert!(receiver.received().is_empty());
    let shown = tally.cli(&["alerts", "list"]);
    assert!(shown.contains("sent pending: the certificate of the receiver is not trusted"), "{shown}");
    drop(server);
    let trusting = format!("{rules}ca_file = \"ca.pem\"\n");
    let _server = Tally::with_alerts(tally.database.again(), &trusting, receiver.folder()).await;
    eventually(async || pending(&tally).await == 0).await;
    receiver.received().iter().for_each(Received::verify);
    assert_eq!(receiver.accepted()["ada"].len(), 1);
}

/// The folder of a receiver as a path for a program.
pub(super) fn rules_file(folder: &Path, rules: &str) -> String {
    let path = folder.join("alerts.toml");
    std::fs::write(&path, rules).unwrap();
    path.to_str().unwrap().to_owned()
}
