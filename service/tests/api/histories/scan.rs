//! A scan reads every customer once, in order, with the history that a read of it alone returns; and a scan
//! that fails does not look complete.

use std::{collections::BTreeMap, sync::Arc};

use tally_model::{
    history::{AttributeValue, History, Packed},
    time::{DAY, Time},
};
use tally_service::histories::scan::{CustomerScan, Partition};
use tally_store::{
    Actor, Interaction, InteractionCursor, InteractionKey, ListedInteraction, NewCustomer, RecordOptions,
    Store,
};

use super::samples::{self, expected, expected_with};
use crate::support::{Tally, on_both_stores, time};

on_both_stores!(
    a_scan_reads_each_customer_once_and_as_when_read_alone,
    long_and_short_rows_of_a_customer_stay_in_order,
    a_long_history_is_whole_and_in_order,
    a_scan_that_fails_ends_with_the_error,
);

/// The `n`-th interaction of a customer, four at a time; every other one has properties.
fn interaction(customer_id: &str, n: usize, property: &str) -> Interaction {
    let occur_time = Time(time("2024-01-01").0 + (n / 4) as i64 * DAY / 500);
    let properties = match n % 2 {
        0 => BTreeMap::default(),
        _ => BTreeMap::from([("units".to_owned(), n.to_string()), ("note".to_owned(), property.to_owned())]),
    };
    Interaction {
        customer_id: customer_id.to_owned(),
        interaction_id: format!("{n:06}"),
        kind: ["purchase", "visit, or so", "{call}"][n % 3].to_owned(),
        occur_time,
        record_time: Time(occur_time.0 + n as i64),
        amount_minor: n.is_multiple_of(3).then_some(-(n as i64)),
        channel: String::new(),
        properties,
    }
}

/// Stores customers without interactions.
async fn silent_customers(store: &dyn Store, count: usize) {
    let customer = |n: usize| NewCustomer {
        customer_id: format!("b{n:04}"),
        name: None,
        create_time: Some(time("2023-01-01")),
        attributes: [("n".to_owned(), AttributeValue::Number(n as f64))].into(),
    };
    for first in (0..count).step_by(1_000) {
        let customers = (first..count.min(first + 1_000)).map(customer).collect();
        store.upsert_customers(customers, &[], time("2024-01-01")).await.unwrap();
    }
}

/// Stores a customer with this many interactions.
async fn busy_customer(store: &dyn Store, customer_id: &str, count: usize, property: &str) {
    let all: Vec<_> = (0..count).map(|n| interaction(customer_id, n, property)).collect();
    for batch in all.chunks(2_000) {
        store.record_interactions(batch.to_vec(), RecordOptions::new(Time::MIN)).await.unwrap();
    }
}

/// The customers of a partition, and the number of those that the scan has looked at.
async fn read(store: &Arc<dyn Store>, part: Partition) -> (Vec<(String, Packed)>, u64) {
    let mut scan = CustomerScan::new(Arc::clone(store), part);
    let (mut all, mut looked_at) = (Vec::new(), 0);
    while let Some(page) = scan.next().await.unwrap() {
        assert!(page.customers >= page.histories.len() as u64);
        looked_at += page.customers;
        all.extend(page.histories);
    }
    (all, looked_at)
}

async fn a_scan_reads_each_customer_once_and_as_when_read_alone(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    assert_eq!(read(&store, Partition::WHOLE).await, (Vec::new(), 0));
    silent_customers(&*store, 2_300).await;
    // At the beginning, in between and at the end; some with more interactions than a page has otherwise.
    busy_customer(&*store, "a", 10_000, "\t\n").await;
    busy_customer(&*store, "b0999x", 50, "").await;
    busy_customer(&*store, "b1000", 12_001, "\u{1f980}").await;
    busy_customer(&*store, "c", 1, "").await;

    let (whole, looked_at) = read(&store, Partition::WHOLE).await;
    assert_eq!((whole.len(), looked_at), (2_303, 2_303));
    assert!(whole.is_sorted_by(|(a, _), (b, _)| a < b));
    let ids: Vec<String> = whole.iter().map(|(id, _)| id.clone()).collect();
    let alone = store.histories(&ids).await.unwrap();
    assert!(whole.iter().zip(alone).all(|((_, scanned), alone)| Some(scanned) == alone.as_ref()));
    let length = |wanted: &str| {
        let (_, history) = whole.iter().find(|(id, _)| id == wanted).unwrap();
        history.with(History::len).unwrap()
    };
    assert_eq!(["a", "b0999x", "b1000", "b1001", "c"].map(length), [10_000, 50, 12_001, 0, 1]);

    // Some of them packed: no difference.
    assert_eq!(store.pack(ids.iter().step_by(3).cloned().collect()).await.unwrap(), 768);
    assert!(read(&store, Partition::WHOLE).await == (whole.clone(), 2_303));
    assert_partitions_make_up(&store, &whole).await;
}

/// Asserts that three partitions are of about the same size and make up the whole.
async fn assert_partitions_make_up(store: &Arc<dyn Store>, whole: &[(String, Packed)]) {
    let mut together = Vec::new();
    for number in 0..3 {
        let part = Partition { number, of: 3 };
        let (own, looked_at) = read(store, part).await;
        assert_eq!(looked_at, 2_303);
        assert!((600..900).contains(&own.len()) && own.iter().all(|(id, _)| part.holds(id)));
        together.extend(own);
    }
    together.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(together == whole);
}

async fn long_and_short_rows_of_a_customer_stay_in_order(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    // Every other one is too long for the index.
    let long = "x".repeat(600);
    busy_customer(&*store, "c", 90, &long).await;
    let expected: Vec<Interaction> = (0..90).map(|n| interaction("c", n, &long)).collect();

    let mut listed: Vec<ListedInteraction> = Vec::new();
    loop {
        let after = listed.last().map(InteractionCursor::new);
        let page = store.interactions("c", after, 7, false).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let listed: Vec<Interaction> = listed.into_iter().rev().map(|item| item.interaction).collect();
    assert_eq!(listed, expected);

    let mut history = History::default();
    for item in &expected {
        history.push(&item.kind, item.occur_time, item.record_time, item.amount_minor, None);
        history.push_channel(&item.channel);
        item.properties.iter().for_each(|(name, text)| history.push_property(name, text));
    }
    assert_eq!(store.histories(&["c".to_owned()]).await.unwrap(), [Some(history.pack())]);
    assert_eq!(read(&store, Partition::WHOLE).await.0, [("c".to_owned(), history.pack())]);
}

async fn a_long_history_is_whole_and_in_order(tally: Tally) {
    const COUNT: usize = 20_003;
    // Every other one is too long for the index of PostgreSQL.
    let long_row = "x".repeat(600);
    let store = tally_store::open(&tally.database.url).await.unwrap();
    busy_customer(&*store, "c", COUNT, &long_row).await;
    busy_customer(&*store, "d", 3, &long_row).await;
    // Around where one part ends and the next begins, as well as the first and the last.
    let retracted = [0, 9_998, 9_999, 10_000, 10_001, 19_999, 20_000, COUNT - 1];
    let key = |n: &usize| InteractionKey { customer_id: "c".to_owned(), interaction_id: format!("{n:06}") };
    let (keys, when) = (retracted.iter().map(key).collect(), time("2025-01-01"));
    let done = store.retract_interactions(keys, when, String::new(), &Actor::default()).await.unwrap();
    assert_eq!(done.retracted, retracted.len());

    let all = (0..COUNT).map(|n| (interaction("c", n, &long_row), retracted.contains(&n).then_some(when)));
    let (long, short) = (
        expected_with(all.collect(), &[]),
        expected((0..3).map(|n| interaction("d", n, &long_row)).collect(), &[]),
    );
    let ids = ["c", "d", "unknown"].map(str::to_owned);
    let wanted = [Some(long), Some(short), None];
    assert!(samples::read(&*store, &ids).await == wanted, "from rows");
    assert_eq!(store.pack(ids.to_vec()).await.unwrap(), 2);
    assert!(samples::read(&*store, &ids).await == wanted, "packed");
}

async fn a_scan_that_fails_ends_with_the_error(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    // More than are read ahead.
    silent_customers(&*store, 5_000).await;
    let mut scan = CustomerScan::new(Arc::clone(&store), Partition::WHOLE);
    assert!(scan.next().await.unwrap().is_some());
    tally.database.sql("ALTER TABLE customers RENAME TO away").await;
    let error = loop {
        match scan.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the scan seemed complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "INTERNAL", "{error}");
    // A later scan finds the database as it was.
    tally.database.sql("ALTER TABLE away RENAME TO customers").await;
    assert_eq!(read(&store, Partition::WHOLE).await.1, 5_000);
}
