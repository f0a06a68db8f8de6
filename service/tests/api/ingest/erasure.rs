//! Erased customers: nothing of them stays, and what comes late does not bring them back.

use std::path::PathBuf;

use prost_types::value::Kind;
use tally_proto::v1;
use tonic::Code;

use crate::support::{
    Database, DirectConnection, Tally, assert_refused, customer, eventually, interaction, on_both_stores,
};

on_both_stores!(
    nothing_of_an_erased_customer_stays,
    late_data_of_an_erased_customer_is_left_out,
    erased_customers_come_back_only_when_asked_for,
    every_id_of_an_erased_customer_is_known,
    an_erasure_beside_writes_comes_before_or_after_each,
    another_server_forgets_an_erased_customer,
    referrals_of_others_forget_whom_they_refer,
);

/// In every text of the customer, and nowhere else.
const CANARY: &str = "canary7061";

/// A customer of whom every table has a row.
async fn canary(tally: &Tally) -> [String; 2] {
    let ids = [format!("{CANARY}-a"), format!("{CANARY}-b")];
    let attribute = [("email", Kind::StringValue(format!("{CANARY}@example.org")))];
    let customers = ids
        .iter()
        .map(|id| v1::Customer { name: format!("{CANARY} Ada"), ..customer(id, "2024-01-01", &attribute) });
    tally.upsert(customers.collect()).await.unwrap();
    for id in &ids {
        let mut items =
            vec![interaction(id, "i-1", "visit", "2024-01-02"), interaction(id, "i-2", "call", "2024-01-03")];
        for item in &mut items {
            item.channel = format!("{CANARY}-web");
            item.properties = [("page".to_owned(), format!("/{CANARY}"))].into();
        }
        // Beside others of whom everything stays.
        items.push(interaction("other", &format!("of {}", id.len()), "visit", "2024-01-02"));
        tally.backfill(items).await.unwrap();
    }
    let keys = [v1::InteractionKey { customer_id: ids[0].clone(), interaction_id: "i-2".to_owned() }];
    let request = v1::RetractInteractionsRequest { keys: keys.into(), reason: format!("{CANARY} said so") };
    tally.interactions().retract_interactions(request).await.unwrap();
    tally.merge(&ids[1], &ids[0]).await.unwrap();
    for id in &ids {
        tally.database.fill_tables(id, CANARY).await;
        assert!(tally.database.rows_of(id).await.values().all(|rows| *rows > 0));
    }
    ids
}

/// The files of a SQLite database with the canary in them.
fn files_with_canary(database: &Database) -> Vec<PathBuf> {
    let mut files = tally_store::files(&database.url).unwrap();
    let has = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes())
    };
    files.retain(has);
    files
}

async fn nothing_of_an_erased_customer_stays(tally: Tally) {
    let ids = canary(&tally).await;
    assert!(tally.database.columns_with(CANARY).await.len() > 20);
    tally.delete(&ids[0]).await.unwrap();
    assert_eq!(tally.database.columns_with(CANARY).await, [].into());
    assert_eq!(tally.database.rows_of("other").await["interactions"], 1);
    if tally.database.is_sqlite() {
        // Reads of the server itself may hold the log for a moment.
        eventually(async || files_with_canary(&tally.database).is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_long_read_holds_in_the_log_is_gone_after_it() {
    let tally = Tally::start(Database::sqlite()).await;
    let ids = canary(&tally).await;
    let mut reader = DirectConnection::open(&tally).await;
    reader.execute("BEGIN").await;
    reader.execute("SELECT count(*) FROM customers").await;
    // The customer is gone for everybody else.
    tally.delete(&ids[0]).await.unwrap();
    assert_eq!(tally.database.columns_with(CANARY).await, [].into());
    assert!(!files_with_canary(&tally.database).is_empty());
    // Others write meanwhile.
    tally.upsert(vec![customer("new", "2024-01-01", &[])]).await.unwrap();
    reader.execute("COMMIT").await;
    eventually(async || files_with_canary(&tally.database).is_empty()).await;
}

async fn record(
    tally: &Tally,
    items: Vec<v1::Interaction>,
    recreate_erased: bool,
) -> v1::RecordInteractionsResponse {
    let request =
        v1::RecordInteractionsRequest { interactions: items, recreate_erased, ..Default::default() };
    tally.interactions().record_interactions(request).await.unwrap().into_inner()
}

async fn upsert(
    tally: &Tally,
    customers: Vec<v1::Customer>,
    recreate_erased: bool,
) -> v1::UpsertCustomersResponse {
    let request = v1::UpsertCustomersRequest { customers, recreate_erased, ..Default::default() };
    tally.customers().upsert_customers(request).await.unwrap().into_inner()
}

async fn late_data_of_an_erased_customer_is_left_out(tally: Tally) {
    let visit = |id: &str, n: usize| interaction(id, &format!("i{n}"), "visit", "2024-01-02");
    record(&tally, vec![visit("gone", 1), visit("stays", 1)], false).await;
    tally.delete("gone").await.unwrap();

    let reply = record(&tally, vec![visit("gone", 1), visit("stays", 2), visit("gone", 2)], false).await;
    assert_eq!((reply.recorded, reply.duplicates, reply.erased), (1, 0, 2));
    let reply = record(&tally, vec![visit("gone", 3)], false).await;
    assert_eq!((reply.recorded, reply.erased), (0, 1));
    let batch = v1::RecordInteractionsRequest {
        interactions: vec![visit("gone", 4), visit("new", 1)],
        ..Default::default()
    };
    let batches = tokio_stream::iter([batch.clone(), batch]);
    let mut replies = tally.interactions().stream_interactions(batches).await.unwrap().into_inner();
    for expected in [(1, 0, 1), (0, 1, 1)] {
        let reply = replies.message().await.unwrap().unwrap();
        assert_eq!((reply.recorded, reply.duplicates, reply.erased), expected);
    }
    let customers = ["gone", "stays"].map(|id| customer(id, "2024-01-01", &[])).into();
    let reply = upsert(&tally, customers, false).await;
    assert_eq!((reply.upserted, reply.erased), (1, 1));

    assert_refused(tally.customer("gone").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    assert_refused(tally.delete("gone").await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
    assert_eq!(tally.database.columns_with("gone").await, [].into());
}

async fn erased_customers_come_back_only_when_asked_for(tally: Tally) {
    let visit = |n: usize| interaction("c", &format!("i{n}"), "visit", "2024-01-02");
    let record_of = || vec![v1::Customer { name: "Ada".to_owned(), ..customer("c", "2024-01-01", &[]) }];
    upsert(&tally, record_of(), false).await;
    tally.delete("c").await.unwrap();
    let reply = record(&tally, vec![visit(1)], true).await;
    assert_eq!((reply.recorded, reply.erased), (1, 0));
    assert_eq!(tally.customer("c").await.unwrap().name, "", "as a new customer");
    // From then on without being asked.
    assert_eq!(record(&tally, vec![visit(2)], false).await.recorded, 1);
    tally.delete("c").await.unwrap();
    assert_eq!(upsert(&tally, record_of(), false).await.erased, 1);
    let reply = upsert(&tally, record_of(), true).await;
    assert_eq!((reply.upserted, reply.erased), (1, 0));
    assert_eq!(tally.customer("c").await.unwrap().name, "Ada");
    assert_eq!(tally.database.sql("SELECT count(*) FROM erased_customers").await, Some(0));
}

async fn every_id_of_an_erased_customer_is_known(tally: Tally) {
    let visit = |id: &str| interaction(id, "i", "visit", "2024-01-02");
    record(&tally, ["a", "b", "c"].map(visit).into(), false).await;
    tally.merge("a", "b").await.unwrap();
    tally.merge("b", "c").await.unwrap();
    tally.delete("a").await.unwrap();
    let reply = record(&tally, ["a", "b", "c", "d"].map(visit).into(), false).await;
    assert_eq!((reply.recorded, reply.erased), (1, 3));
}

async fn an_erasure_beside_writes_comes_before_or_after_each(tally: Tally) {
    for round in 0..10 {
        let id = format!("race-{round}");
        let first = interaction(&id, "first", "visit", "2024-01-02");
        record(&tally, vec![first.clone()], false).await;
        let send = |interactions: Vec<v1::Interaction>| {
            let mut client = tally.interactions();
            let request = v1::RecordInteractionsRequest { interactions, ..Default::default() };
            tokio::spawn(async move { client.record_interactions(request).await })
        };
        let record = |n: usize| {
            let visit = |part| interaction(&id, &format!("{}", n * 3 + part), "visit", "2024-01-02");
            send((0..3).map(visit).collect())
        };
        // Another one refers to the customer, beside a duplicate of the customer's.
        let refer = |n: usize| {
            let referral =
                interaction(&format!("friend-{n}"), &format!("of {round}"), "referral", "2024-01-02");
            let properties = [("referred_customer_id".to_owned(), id.clone())].into();
            send(vec![first.clone(), v1::Interaction { properties, ..referral }])
        };
        let upsert = || {
            let mut client = tally.customers();
            let customers = vec![v1::Customer { name: "Ada".to_owned(), ..customer(&id, "2024-01-01", &[]) }];
            let request = v1::UpsertCustomersRequest { customers, ..Default::default() };
            tokio::spawn(async move { client.upsert_customers(request).await })
        };
        let mut recording: Vec<_> = (0..4).map(record).collect();
        let mut upserting = vec![upsert()];
        let mut referring: Vec<_> = (0..3).map(refer).collect();
        let delete = tally.delete(&id);
        recording.extend((4..8).map(record));
        upserting.push(upsert());
        referring.extend((3..6).map(refer));
        delete.await.unwrap();
        for (calls, allowed) in [(recording, [(3, 0), (0, 3)]), (referring, [(1, 0), (1, 1)])] {
            for call in calls {
                // All of the customer's or nothing. Many that get in each other's way may be too many for one of them.
                match call.await.unwrap() {
                    Ok(reply) => {
                        let reply = reply.into_inner();
                        assert!(allowed.contains(&(reply.recorded, reply.erased)), "{reply:?}");
                    }
                    Err(status) => assert_eq!(status.code(), Code::Aborted, "{status:?}"),
                }
            }
        }
        for call in upserting {
            if let Err(status) = call.await.unwrap() {
                assert_eq!(status.code(), Code::Aborted, "{status:?}");
            }
        }
        assert_refused(tally.customer(&id).await, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
        assert_eq!(tally.database.columns_with(&id).await, [].into());
    }
}

async fn another_server_forgets_an_erased_customer(tally: Tally) {
    let other = Tally::start(tally.database.again()).await;
    record(&tally, vec![interaction("c", "i", "visit", "2024-01-02")], false).await;
    let histories = other.app().histories.clone();
    let ids = ["c".to_owned()];
    eventually(async || histories.get(&ids).await.unwrap()[0].is_some()).await;
    tally.delete("c").await.unwrap();
    eventually(async || histories.get(&ids).await.unwrap()[0].is_none()).await;
}

async fn referrals_of_others_forget_whom_they_refer(tally: Tally) {
    let referral = |id: &str, n: usize, whom: &str| {
        let properties =
            [("referred_customer_id".to_owned(), whom.to_owned()), ("by".to_owned(), "card".to_owned())];
        v1::Interaction {
            properties: properties.into(),
            ..interaction(id, &format!("r{n}"), "referral", "2024-01-02")
        }
    };
    let all = || vec![referral("a", 1, "gone"), referral("a", 2, "stays"), referral("b", 1, "gone")];
    record(&tally, vec![interaction("gone", "i", "visit", "2024-01-02")], false).await;
    record(&tally, vec![interaction("stays", "i", "visit", "2024-01-02")], false).await;
    record(&tally, all(), false).await;
    tally.retract(&[("b", "r1")]).await.unwrap();
    let ids = ["a".to_owned(), "b".to_owned()];
    let store = tally_store::open(&tally.database.url).await.unwrap();
    assert_eq!(store.pack(ids.to_vec()).await.unwrap(), 2);
    tally.app().histories.get(&ids).await.unwrap();

    tally.delete("gone").await.unwrap();
    assert_eq!(tally.database.columns_with("gone").await, [].into());
    for warm in tally.app().histories.get(&ids).await.unwrap() {
        let values = warm.unwrap().history.with(|history| history.values().to_vec()).unwrap();
        assert!(!values.contains(&"gone".to_owned()), "{values:?}");
    }
    // The same referrals again are the same, and a late one is stored without the id.
    let reply = record(&tally, all(), false).await;
    assert_eq!((reply.recorded, reply.duplicates, reply.erased), (0, 3, 0));
    assert_eq!(record(&tally, vec![referral("a", 3, "gone")], false).await.recorded, 1);
    assert_eq!(tally.database.columns_with("gone").await, [].into());
    let kept = "SELECT count(*) FROM interactions WHERE kind = 'referral'";
    assert_eq!(tally.database.sql(kept).await, Some(3));
    assert!(tally.database.columns_with("stays").await.contains("interactions.properties"));
}
