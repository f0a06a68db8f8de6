//! No log, metric or message has a secret, the address of the receiver, or more of a customer than its id.

use std::process::Stdio;

use tally_proto::v1;

use super::{
    COMPLAINTS, complaint,
    delivery::rules_file,
    receiver::{Answer, Receiver},
};
use crate::support::{ServeProcess, Tally, eventually, on_both_stores, program};

on_both_stores!(nothing_leaks);

async fn nothing_leaks(tally: Tally) {
    let receiver = Receiver::start(|_, n| if n % 3 == 0 { Answer::Hang } else { Answer::Status(500) }).await;
    let file = rules_file(receiver.folder(), &format!("{COMPLAINTS}{}", receiver.table()));
    let mut customer =
        v1::Customer { customer_id: "id-of-ada".into(), name: "canary".into(), ..Default::default() };
    customer.create_time = complaint("", "", 3_000).occur_time;
    tally.upsert(vec![customer]).await.unwrap();
    let mut told = complaint("id-of-ada", "canary", 2_000);
    told.properties.insert("text".into(), "canary".into());
    told.channel = "canary".into();
    tally.backfill(vec![told]).await.unwrap();
    let logs = ["debug", "info"].map(|level| (level, receiver.folder().join(format!("{level}.log"))));
    for (level, log) in &logs {
        let mut serve = program("tally-serve", &tally.database.url);
        serve.args(["--listen", "127.0.0.1:0", "--alerts", &file]).env("TALLY_LOG", level);
        serve.stderr(Stdio::from(std::fs::File::create(log).unwrap()));
        let before = receiver.received().len();
        let server = tokio::task::spawn_blocking(move || ServeProcess::spawn(serve)).await.unwrap();
        eventually(async || receiver.received().len() >= before + 2).await;
        drop(server);
    }
    let secret = std::fs::read_to_string(receiver.folder().join("secret")).unwrap();
    for (level, log) in &logs {
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("canary") && !log.contains(secret.trim()), "{log}");
        assert_eq!(log.contains("an alert could not be delivered"), *level == "debug", "{log}");
        assert!(*level == "debug" || !log.contains("id-of-ada"), "{log}");
    }
    for one in receiver.received() {
        assert!(!one.body.contains("canary"), "{}", one.body);
    }
    let mut alerts = tally.alerts(v1::ListAlertsRequest::default()).await;
    // Who may list alerts may read customers; everything else of an alert is also sent to receivers.
    alerts.iter_mut().for_each(|alert| assert_eq!(std::mem::take(&mut alert.customer_name), "canary"));
    let alerts = format!("{alerts:?}");
    assert!(!alerts.contains("canary") && alerts.contains("the receiver answered 500"), "{alerts}");
}
