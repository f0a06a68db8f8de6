//! What is acknowledged stays, whoever goes away when.

use std::collections::HashSet;

use tally_proto::v1;

use crate::support::{Tally, interaction, on_both_stores};

on_both_stores!(clients_that_go_away_lose_nothing_of_others, a_restart_finds_everything);

/// Cancelling in the middle of BEGIN must not leave a connection in an open transaction: what a later
/// call is told to be stored would vanish with it.
async fn clients_that_go_away_lose_nothing_of_others(tally: Tally) {
    let mut acknowledged = HashSet::new();
    for n in 0..300_u32 {
        let id = format!("i{n}");
        let batch = vec![interaction("c", &id, "visit", "2024-01-01")];
        // Polled a varying number of times, then dropped; every tenth may end.
        let call = tally.backfill(batch);
        if n % 10 == 0 {
            assert_eq!(call.await.unwrap(), (1, 0));
            acknowledged.insert(id);
        } else {
            let mut call = Box::pin(call);
            for _ in 0..n % 10 {
                let waker = futures_util::task::noop_waker();
                let _ = call.as_mut().poll(&mut std::task::Context::from_waker(&waker));
                tokio::task::yield_now().await;
            }
        }
    }
    let request =
        v1::ListInteractionsRequest { customer_id: "c".into(), page_size: 1_000, ..Default::default() };
    let stored = tally.interactions().list_interactions(request).await.unwrap().into_inner().interactions;
    let stored: HashSet<String> = stored.into_iter().map(|item| item.interaction_id).collect();
    assert!(acknowledged.is_subset(&stored), "{:?}", acknowledged.difference(&stored));
    // Nobody is left inside a transaction: a new program can write at once.
    let second = Tally::start(tally.database.again()).await;
    assert_eq!(second.backfill(vec![interaction("c", "last", "visit", "2024-01-01")]).await.unwrap(), (1, 0));
}

async fn a_restart_finds_everything(mut tally: Tally) {
    tally
        .backfill((0..500).map(|n| interaction("c", &n.to_string(), "visit", "2024-01-01")).collect())
        .await
        .unwrap();
    let request = v1::ListCustomersRequest { page_size: 1, ..Default::default() };
    tally.upsert(vec![crate::support::customer("d", "2024-01-01", &[])]).await.unwrap();
    let token = tally.customers().list_customers(request.clone()).await.unwrap().into_inner().next_page_token;
    tally.stop().await;
    let again = Tally::start(tally.database.again()).await;
    let batch = (0..501).map(|n| interaction("c", &n.to_string(), "visit", "2024-01-01")).collect();
    assert_eq!(again.backfill(batch).await.unwrap(), (1, 500));
    let request = v1::ListCustomersRequest { page_token: token, ..request };
    let page = again.customers().list_customers(request).await.unwrap().into_inner().customers;
    assert_eq!(page[0].customer_id, "d", "page tokens outlive a restart");
}
