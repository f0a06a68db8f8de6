//! What is acknowledged is stored, also when callers give up and servers restart.

use std::{
    collections::{BTreeMap, HashSet},
    future::poll_fn,
    task::Poll,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tally_model::time::Time;
use tally_proto::v1;
use tally_store::{Interaction, RecordOptions, Store};

use crate::support::{Tally, customer, interaction, on_both_stores, time};

on_both_stores!(callers_that_give_up_leave_no_open_transaction, a_restart_keeps_everything);

fn item(id: String) -> Interaction {
    Interaction {
        customer_id: "c".to_owned(),
        interaction_id: id,
        kind: "visit".to_owned(),
        occur_time: time("2024-01-01"),
        record_time: time("2024-01-01"),
        amount_minor: None,
        channel: String::new(),
        properties: BTreeMap::default(),
    }
}

/// Begins a write and drops it after this many polls.
async fn give_up_after(store: &dyn Store, id: String, most_polls: u64) {
    let mut given_up =
        std::pin::pin!(store.record_interactions(vec![item(id)], RecordOptions::new(Time::MIN)));
    let mut polls = 0;
    poll_fn(|context| {
        polls += 1;
        if polls > most_polls { Poll::Ready(()) } else { given_up.as_mut().poll(context).map(drop) }
    })
    .await;
}

/// A caller that gives up in the middle of BEGIN must not leave a connection in an open transaction: the
/// next caller would be refused, or its acknowledged write would vanish.
async fn callers_that_give_up_leave_no_open_transaction(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let mut acknowledged = HashSet::new();
    for n in 0..1_500_u64 {
        // From giving up at once to running to the end.
        give_up_after(&*store, format!("given-up-{n}"), n % 30).await;
        if n % 10 == 0 {
            let id = format!("kept-{n}");
            let done = store
                .record_interactions(vec![item(id.clone())], RecordOptions::new(Time::MIN))
                .await
                .unwrap();
            assert_eq!((done.recorded, done.duplicates), (1, 0));
            acknowledged.insert(id);
        }
    }
    if !tally.database.is_sqlite() {
        wait_until_no_transaction_is_idle(&tally).await;
    }
    drop(store);
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let stored = store.interactions("c", None, 10_000, false).await.unwrap();
    let stored: HashSet<String> = stored.into_iter().map(|item| item.interaction.interaction_id).collect();
    assert!(acknowledged.is_subset(&stored), "{:?}", acknowledged.difference(&stored));
}

async fn wait_until_no_transaction_is_idle(tally: &Tally) {
    let mut connection = PgConnection::connect(&tally.database.url).await.unwrap();
    let ended = async {
        let open = "SELECT count(*) FROM pg_stat_activity \
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        while sqlx::query_scalar::<_, i64>(open).fetch_one(&mut connection).await.unwrap() > 0 {}
    };
    let waited = tokio::time::timeout(Duration::from_secs(10), ended).await;
    waited.expect("no connection of the pool stays in a transaction");
}

async fn a_restart_keeps_everything(mut tally: Tally) {
    let batch = |size: usize| -> Vec<_> {
        (0..size).map(|n| interaction("c", &n.to_string(), "visit", "2024-01-01")).collect()
    };
    tally.backfill(batch(500)).await.unwrap();
    let request = v1::ListCustomersRequest { page_size: 1, ..Default::default() };
    tally.upsert(vec![customer("d", "2024-01-01", &[])]).await.unwrap();
    let token = tally.customers().list_customers(request.clone()).await.unwrap().into_inner().next_page_token;
    tally.stop().await;
    let again = Tally::start(tally.database.again()).await;
    assert_eq!(again.backfill(batch(501)).await.unwrap(), (1, 500));
    let request = v1::ListCustomersRequest { page_token: token, ..request };
    let page = again.customers().list_customers(request).await.unwrap().into_inner().customers;
    assert_eq!(page[0].customer_id, "d", "page tokens remain valid after a restart");
}
