//! A server that is killed again and again while alerts arise, and a receiver that fails half of the time.

use super::{
    COMPLAINTS, complaint,
    delivery::{expected, rules_file},
    receiver::{Answer, Received, Receiver},
};
use crate::support::{Database, ServeProcess, Tally, eventually};

const CUSTOMERS: i64 = 4;

async fn survives(database: Database, kills: i64) {
    let tally = Tally::start(database).await;
    let receiver = Receiver::start(|_, n| Answer::Status(if n % 2 == 0 { 500 } else { 200 })).await;
    let file = rules_file(receiver.folder(), &format!("{COMPLAINTS}{}", receiver.table()));
    let url = tally.database.url.clone();
    let start = || {
        let (url, file) = (url.clone(), file.clone());
        tokio::task::spawn_blocking(move || ServeProcess::start(&url, &["--alerts", &file]))
    };
    for kill in 0..kills {
        let complaints =
            (0..CUSTOMERS).map(|n| complaint(&format!("c{n}"), &format!("k{kill}"), 3_000 - kill));
        tally.backfill(complaints.collect()).await.unwrap();
        let mut server = start().await.unwrap();
        // Somewhere among the tries of this server.
        let before = receiver.received().len();
        eventually(async || receiver.received().len() > before + (kill % 3) as usize).await;
        server.signal("-KILL");
        server.wait();
    }
    let _server = start().await.unwrap();
    let alerts = CUSTOMERS * kills;
    tally.wait_for_alerts(alerts).await;
    let accepted = || receiver.accepted().values().map(Vec::len).sum::<usize>() as i64;
    eventually(async || accepted() == alerts).await;

    assert_eq!(receiver.accepted(), expected(&tally).await, "all, in order, and none made up");
    receiver.received().iter().for_each(Received::verify);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_survive_kills_on_sqlite() {
    survives(Database::sqlite(), 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_survive_kills_on_postgres() {
    survives(Database::postgres().await, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; ./test kills a server three times"]
async fn alerts_survive_fifty_kills_on_sqlite() {
    survives(Database::sqlite(), 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; ./test kills a server three times"]
async fn alerts_survive_fifty_kills_on_postgres() {
    survives(Database::postgres().await, 50).await;
}
