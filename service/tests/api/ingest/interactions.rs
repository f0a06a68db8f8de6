//! InteractionService: batches are idempotent and atomic, and lists are in order.

use tally_proto::v1;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::support::{Tally, assert_refused, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    a_batch_counts_once_however_often_it_is_sent,
    different_content_under_a_known_key_refuses_the_whole_batch,
    concurrent_batches_store_each_interaction_once,
    interactions_are_listed_newest_first_page_by_page,
    a_customer_begins_with_its_earliest_interaction_in_any_order_of_arrival,
    a_stream_acknowledges_each_batch_in_order_and_ends_at_an_invalid_one,
    record_time_is_when_an_interaction_reached_the_server,
);

async fn list(tally: &Tally, customer_id: &str, page_size: i32) -> Vec<v1::Interaction> {
    let mut request =
        v1::ListInteractionsRequest { customer_id: customer_id.to_owned(), page_size, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = tally.interactions().list_interactions(request.clone()).await.unwrap().into_inner();
        all.extend(page.interactions);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

fn sample(n: usize) -> v1::Interaction {
    let mut item = interaction(&format!("c{}", n % 7), &format!("i{n}"), "transfer", "2024-01-01");
    item.occur_time = Some(timestamp(time("2024-01-01").plus_days(n as i64 % 50)));
    item.amount_minor = (!n.is_multiple_of(3)).then_some(n as i64 * 1_000 - 20_000);
    item.channel = "web".to_owned();
    item.properties.insert("note".into(), format!("№ {n} \"quoted\" \\ \u{1f980}"));
    item
}

async fn a_batch_counts_once_however_often_it_is_sent(tally: Tally) {
    let batch: Vec<_> = (0..100).map(sample).collect();
    assert_eq!(tally.backfill(batch.clone()).await.unwrap(), (100, 0));
    assert_eq!(tally.backfill(batch.clone()).await.unwrap(), (0, 100));
    let mut again = batch.clone();
    again.extend((90..130).map(sample));
    assert_eq!(tally.backfill(again).await.unwrap(), (30, 110), "duplicates within a batch count, too");
    let mut stored = list(&tally, "c3", 1_000).await;
    stored.sort_by_key(|item| item.interaction_id[1..].parse::<usize>().unwrap());
    let expected: Vec<_> = (0..130)
        .map(sample)
        .filter(|item| item.customer_id == "c3")
        .map(|item| v1::Interaction { record_time: item.occur_time, ..item })
        .collect();
    assert_eq!(stored, expected);
}

async fn different_content_under_a_known_key_refuses_the_whole_batch(tally: Tally) {
    tally.backfill(vec![sample(1)]).await.unwrap();
    let changes: [fn(&mut v1::Interaction); 5] = [
        |item| item.kind = "fee".into(),
        |item| item.amount_minor = None,
        |item| item.channel = "shop".into(),
        |item| item.occur_time = Some(timestamp(time("2024-05-05"))),
        |item| {
            item.properties.insert("new".into(), "0".into());
        },
    ];
    for change in changes {
        let mut other = sample(1);
        change(&mut other);
        let refused = tally.backfill(vec![sample(2), other.clone()]).await;
        let message = refused.as_ref().unwrap_err().message();
        assert!(message.contains("interactions[1]: `i1` of customer `c1`"), "{message}");
        assert_refused(refused, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
        // The other content under the key can also be in the same batch.
        (other.interaction_id, other.customer_id) = ("i3".into(), "c3".into());
        let refused = tally.backfill(vec![sample(2), sample(3), other]).await;
        assert_refused(refused, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
    }
    let request = v1::ListCustomersRequest::default();
    let customers = tally.customers().list_customers(request).await.unwrap().into_inner().customers;
    assert_eq!(customers.len(), 1, "nothing of the refused batches is stored, not even a customer");
}

async fn concurrent_batches_store_each_interaction_once(tally: Tally) {
    let senders = (0..8).map(|n| {
        let mut batch: Vec<_> = (0..400).map(sample).collect();
        // Each sender has the same batch in an order of its own.
        batch.rotate_left(n * 50);
        if n % 2 == 1 {
            batch.reverse();
        }
        tally.backfill(batch)
    });
    let (mut recorded, mut duplicates) = (0, 0);
    for counts in futures_util::future::join_all(senders).await {
        let (new, known) = counts.unwrap();
        recorded += new;
        duplicates += known;
    }
    assert_eq!((recorded, duplicates), (400, 7 * 400));
    let mut stored = 0;
    for n in 0..7 {
        stored += list(&tally, &format!("c{n}"), 1_000).await.len();
    }
    assert_eq!(stored, 400);
}

async fn interactions_are_listed_newest_first_page_by_page(tally: Tally) {
    let day = |n: i32| if n % 2 == 0 { "2024-01-01" } else { "2024-01-02" };
    let batch = (0..100).map(|n| interaction("c", &format!("i{n:03}"), "visit", day(n))).collect();
    tally.backfill(batch).await.unwrap();
    let listed: Vec<String> =
        list(&tally, "c", 7).await.into_iter().map(|item| item.interaction_id).collect();
    let odd_then_even = (0..100).rev().filter(|n| n % 2 == 1).chain((0..100).rev().filter(|n| n % 2 == 0));
    assert_eq!(listed, odd_then_even.map(|n| format!("i{n:03}")).collect::<Vec<_>>());
}

async fn a_customer_begins_with_its_earliest_interaction_in_any_order_of_arrival(tally: Tally) {
    for (id, day) in [("late", "2024-03-01"), ("early", "2024-01-01"), ("middle", "2024-02-01")] {
        tally.backfill(vec![interaction("c", id, "visit", day)]).await.unwrap();
    }
    let request = v1::GetCustomerRequest { customer_id: "c".into() };
    let customer = tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap();
    assert_eq!(customer.create_time, Some(timestamp(time("2024-01-01"))));
}

async fn a_stream_acknowledges_each_batch_in_order_and_ends_at_an_invalid_one(tally: Tally) {
    let batch = |range: std::ops::Range<usize>| v1::RecordInteractionsRequest {
        interactions: range.map(sample).collect(),
        backfill: true,
        ..Default::default()
    };
    let batches = vec![batch(0..10), batch(5..20), batch(20..20), batch(20..30)];
    let mut replies =
        tally.interactions().stream_interactions(tokio_stream::iter(batches)).await.unwrap().into_inner();
    let counts = |reply: v1::RecordInteractionsResponse| (reply.recorded, reply.duplicates);
    assert_eq!(counts(replies.next().await.unwrap().unwrap()), (10, 0));
    assert_eq!(counts(replies.next().await.unwrap().unwrap()), (10, 5));
    let refused = replies.next().await.unwrap();
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["interactions"]);
    assert!(replies.next().await.is_none());
    let again = tally.backfill((0..30).map(sample).collect()).await.unwrap();
    assert_eq!(again, (10, 20), "what was acknowledged is stored");
}

async fn record_time_is_when_an_interaction_reached_the_server(tally: Tally) {
    let before = tally_service::platform::clock::system_clock();
    tally.record(vec![sample(1)]).await;
    let after = tally_service::platform::clock::system_clock();
    let stored = list(&tally, "c1", 0).await.remove(0).record_time.unwrap();
    assert!((timestamp(before).seconds..=timestamp(after).seconds).contains(&stored.seconds), "{stored:?}");
}
