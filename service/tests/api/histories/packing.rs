//! Both databases return a history in order, also of equal times, with when each thing became known and every
//! version of the customer record; and the same from rows as from packed histories.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tally_model::{
    history::{AttributeValue, Attributes, History, Version},
    time::Time,
};
use tally_store::{Actor, Interaction, InteractionKey, NewCustomer, RecordOptions, Store};
use tokio::task::JoinHandle;

use super::samples::{expected, expected_with, interactions, read};
use crate::support::{ServeProcess, Tally, eventually, on_both_stores, time};

on_both_stores!(
    histories_are_in_order_and_packing_does_not_change_them,
    retracted_interactions_are_in_their_places,
    a_packed_history_misses_nothing_that_is_written_meanwhile,
    servers_pack_by_themselves,
);

const CREATED: &str = "2023-12-01";

fn attributes(n: f64) -> Attributes {
    [("x".to_owned(), AttributeValue::Number(n)), ("y".to_owned(), AttributeValue::Text(format!("{n}")))]
        .into()
}

fn upsert(n: f64) -> NewCustomer {
    NewCustomer {
        customer_id: "c0".to_owned(),
        name: None,
        create_time: Some(time(CREATED)),
        attributes: attributes(n),
    }
}

/// Stores three versions of customer c0 and all interactions of three customers, each twice and out of order.
/// Returns the versions.
async fn store_out_of_order(store: &dyn Store) -> Vec<Version> {
    let moments = [time("2024-01-05"), time("2024-02-05"), time("2024-03-05")];
    for (n, now) in moments.into_iter().enumerate() {
        store.upsert_customers(vec![upsert(n as f64 / 3.0)], &[], now).await.unwrap();
    }
    let mut all: Vec<Interaction> = (0..3).flat_map(interactions).collect();
    all.sort_by_key(|item| (item.interaction_id.bytes().rev().collect::<Vec<_>>(), item.customer_id.clone()));
    for batch in all.chunks(17) {
        store.record_interactions(batch.to_vec(), RecordOptions::new(Time::MIN)).await.unwrap();
        store.record_interactions(batch.to_vec(), RecordOptions::new(Time::MIN)).await.unwrap();
    }
    let version = |n: usize| {
        let known = if n == 0 { time(CREATED) } else { moments[n] };
        Version {
            effective_time: known,
            record_time: known,
            create_time: time(CREATED),
            attributes: attributes(n as f64 / 3.0),
        }
    };
    (0..3).map(version).collect()
}

async fn histories_are_in_order_and_packing_does_not_change_them(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let versions = store_out_of_order(&*store).await;
    let asked = ["c2", "c0", "nobody", "c0", "c1"].map(str::to_owned);
    let whole = |customer: usize, versions: &[Version]| Some(expected(interactions(customer), versions));
    let histories = [whole(2, &[]), whole(0, &versions), None, whole(0, &versions), whole(1, &[])];
    assert_eq!(read(&*store, &asked).await, histories);
    let first = histories[0].as_ref().unwrap();
    assert!(first.surveys().len() > 10 && first.numbers().len() > 50 && first.texts().len() > 10);

    let unpacked = || store.unpacked("", 10);
    assert_eq!(unpacked().await.unwrap(), ["c0", "c1", "c2"]);
    assert_eq!(store.pack(unpacked().await.unwrap()).await.unwrap(), 3);
    assert!(unpacked().await.unwrap().is_empty());
    assert_eq!(read(&*store, &asked).await, histories);
    assert_writes_undo_packing(&*store).await;

    // A program with another format does not read what this one has packed.
    tally.database.sql("UPDATE packed_histories SET format = 0").await;
    assert_eq!(unpacked().await.unwrap(), ["c0", "c1", "c2"]);
    assert_eq!(read(&*store, &asked[..1]).await, histories[..1]);
    assert!(store.delete_customer("c2", &Actor::default(), Time::MIN).await.unwrap().is_some());
    assert_eq!(tally.database.sql("SELECT count(*) FROM packed_histories").await, Some(0));
}

/// Among many of equal times, several times under one key, and of a customer that has no others.
async fn retracted_interactions_are_in_their_places(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let all: Vec<Interaction> = (0..3).flat_map(interactions).collect();
    store.record_interactions(all.clone(), RecordOptions::new(Time::MIN)).await.unwrap();
    assert_eq!(store.pack(vec!["c0".to_owned(), "c1".to_owned()]).await.unwrap(), 2);
    let key = |item: &Interaction| InteractionKey {
        customer_id: item.customer_id.clone(),
        interaction_id: item.interaction_id.clone(),
    };
    let retract = async |items: &[Interaction], time: Time| {
        store
            .retract_interactions(items.iter().map(key).collect(), time, String::new(), &Actor::default())
            .await
            .unwrap()
    };
    let [first, second, third] = ["2024-05-01", "2024-05-02", "2024-05-03"].map(time);
    let some: Vec<Interaction> = interactions(0).into_iter().step_by(3).collect();
    assert_eq!(retract(&some, first).await.retracted, 34);
    assert_eq!(retract(&interactions(2), second).await.retracted, 100);
    let corrected = Interaction { amount_minor: Some(77), record_time: second, ..some[5].clone() };
    store.record_interactions(vec![corrected.clone()], RecordOptions::new(second)).await.unwrap();
    assert_eq!(retract(&some[5..6], third).await.retracted, 1);
    let last = Interaction { amount_minor: Some(78), record_time: third, ..some[5].clone() };
    store.record_interactions(vec![last.clone()], RecordOptions::new(third)).await.unwrap();

    let retracted = |item: Interaction| {
        let time = some.contains(&item).then_some(first);
        (item, time)
    };
    let mut expected_c0: Vec<_> = interactions(0).into_iter().map(retracted).collect();
    expected_c0.extend([(corrected, Some(third)), (last, None)]);
    let expected_c2 = interactions(2).into_iter().map(|item| (item, Some(second))).collect();
    let histories = [
        Some(expected_with(expected_c0, &[])),
        Some(expected(interactions(1), &[])),
        Some(expected_with(expected_c2, &[])),
    ];
    let asked = ["c0", "c1", "c2"].map(str::to_owned);
    assert_eq!(store.unpacked("", 10).await.unwrap(), ["c0", "c2"], "a retraction drops what was packed");
    assert_eq!(read(&*store, &asked).await, histories);
    assert_eq!(store.pack(asked.to_vec()).await.unwrap(), 3);
    assert_eq!(read(&*store, &asked).await, histories);
}

/// A write about a packed customer is in its next history; a duplicate changes nothing.
async fn assert_writes_undo_packing(store: &dyn Store) {
    let again = interactions(1);
    assert_eq!(
        store.record_interactions(again.clone(), RecordOptions::new(Time::MIN)).await.unwrap().duplicates,
        100
    );
    assert!(store.unpacked("", 10).await.unwrap().is_empty(), "nothing new was written");
    let late = Interaction { interaction_id: "late".to_owned(), ..again[50].clone() };
    store.record_interactions(vec![late.clone()], RecordOptions::new(Time::MIN)).await.unwrap();
    store.upsert_customers(vec![upsert(7.0)], &[], time("2024-04-05")).await.unwrap();
    assert_eq!(store.unpacked("", 10).await.unwrap(), ["c0", "c1"]);
    let found = read(store, &["c1", "c0"].map(str::to_owned)).await;
    assert_eq!(found[0], Some(expected([again, vec![late]].concat(), &[])));
    assert_eq!(found[1].as_ref().unwrap().versions().len(), 4);
}

/// How many write the same customers at the same time, and how often.
const WRITERS: usize = 3;
const ROUNDS: usize = 40;

fn both_customers() -> [String; 2] {
    ["c0", "c1"].map(str::to_owned)
}

/// Packs both customers until `stop` is set. Returns how many histories it has packed.
async fn start_packer(tally: &Tally, stop: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut packed = 0;
        while !stop.load(Ordering::Relaxed) {
            packed += store.pack(both_customers().to_vec()).await.unwrap();
        }
        packed
    })
}

/// Writes round by round, and reads after each what it has written so far.
async fn write_and_read(tally: &Tally, writer: usize) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let kind = format!("of {writer}");
    for round in 0..ROUNDS {
        let one = |customer: usize| Interaction {
            interaction_id: format!("{writer}-{round}"),
            kind: kind.clone(),
            properties: BTreeMap::new(),
            ..interactions(customer).remove(0)
        };
        store.record_interactions((0..2).map(one).collect(), RecordOptions::new(Time::MIN)).await.unwrap();
        for history in read(&*store, &both_customers()).await {
            let history = history.unwrap();
            let own = history.kind_slot(&kind);
            let seen = history.events().filter(|event| Some(event.kind) == own).count();
            assert_eq!(seen, round + 1, "all that was acknowledged to this writer");
        }
    }
}

/// While many write about the same customers and others pack them, each history that is read has everything
/// that was acknowledged before.
async fn a_packed_history_misses_nothing_that_is_written_meanwhile(tally: Tally) {
    let stop = Arc::new(AtomicBool::new(false));
    let packer = start_packer(&tally, &stop).await;
    futures_util::future::join_all((0..WRITERS).map(|writer| write_and_read(&tally, writer))).await;
    stop.store(true, Ordering::Relaxed);
    let packed = packer.await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let lengths = async || -> Vec<usize> {
        read(&*store, &both_customers()).await.iter().flatten().map(History::len).collect()
    };
    assert_eq!(lengths().await, [WRITERS * ROUNDS; 2]);
    store.pack(both_customers().to_vec()).await.unwrap();
    assert_eq!(lengths().await, [WRITERS * ROUNDS; 2]);
    assert!(packed > 0, "the packer packed nothing");
}

async fn servers_pack_by_themselves(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    store
        .record_interactions((0..3).flat_map(interactions).collect(), RecordOptions::new(Time::MIN))
        .await
        .unwrap();
    let _server = ServeProcess::start(&tally.database.url, &["--pack-every-seconds", "1"]);
    let all_packed = async || store.unpacked("", 1).await.unwrap().is_empty();
    eventually(all_packed).await;
    let late = Interaction { interaction_id: "late".to_owned(), ..interactions(1).remove(0) };
    store.record_interactions(vec![late], RecordOptions::new(Time::MIN)).await.unwrap();
    eventually(all_packed).await;
}
