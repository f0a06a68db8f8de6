//! Histories of merged ids: the same from rows as packed, whatever is written and packed meanwhile.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tally_model::{history::History, time::Time};
use tally_store::{Actor, Interaction, InteractionKey, MergeResult, RecordOptions, Store};

use super::samples::{expected, expected_with, interactions, read};
use crate::support::{Tally, on_both_stores, time};

on_both_stores!(
    a_survivor_has_the_history_of_all_its_ids,
    what_is_retracted_under_a_merged_id_is_retracted_for_its_survivor,
    a_packed_survivor_misses_nothing_that_is_written_under_other_ids,
);

const MERGED: &str = "2024-06-01";

async fn merge(store: &dyn Store, from: &str, into: &str, at: Time) {
    let survivor = into.to_owned();
    assert_eq!(
        store.merge_customers(from, into, at, &Actor::default()).await.unwrap(),
        MergeResult::Merged { survivor }
    );
}

fn own(customer: usize) -> History {
    expected(interactions(customer), &[])
}

/// Packs everything and returns the number of customers.
async fn pack_all(store: &dyn Store) -> usize {
    store.pack(store.unpacked("", 100).await.unwrap()).await.unwrap()
}

async fn a_survivor_has_the_history_of_all_its_ids(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let store = &*store;
    store
        .record_interactions((0..3).flat_map(interactions).collect(), RecordOptions::new(Time::MIN))
        .await
        .unwrap();
    assert_eq!(pack_all(store).await, 3);
    let (first, second) = (time(MERGED), time("2024-06-03"));
    // c0 into c1, and later that into c2.
    merge(store, "c0", "c1", first).await;
    let pair = own(1).unite(&[(own(0), first)]);
    let ids = ["c0", "c1", "c2"].map(str::to_owned);
    assert_eq!(read(store, &ids).await, [Some(own(0)), Some(pair.clone()), Some(own(2))]);
    assert_eq!(pack_all(store).await, 1);
    merge(store, "c1", "c2", second).await;
    let all = own(2).unite(&[(own(0), second), (own(1), second)]);
    let histories = [Some(own(0)), Some(pair), Some(all.clone())];
    assert_eq!(read(store, &ids).await, histories);
    assert_eq!(read(store, &ids[2..]).await, histories[2..]);
    assert!(pack_all(store).await > 0);
    assert_eq!(read(store, &ids).await, histories);

    // A write under the first id drops the packed copies of both that it is merged into.
    let late = Interaction { interaction_id: "late".to_owned(), ..interactions(0).remove(50) };
    store.record_interactions(vec![late.clone()], RecordOptions::new(Time::MIN)).await.unwrap();
    assert_eq!(store.unpacked("", 10).await.unwrap(), ["c0", "c1", "c2"]);
    let own_0 = expected([interactions(0), vec![late]].concat(), &[]);
    let all = own(2).unite(&[(own_0.clone(), second), (own(1), second)]);
    let histories = [Some(own_0.clone()), Some(own(1).unite(&[(own_0, first)])), Some(all)];
    assert_eq!(read(store, &ids).await, histories);
    pack_all(store).await;
    assert_eq!(read(store, &ids).await, histories);
    assert_eq!(store.customer_ids("", 10).await.unwrap(), ["c2"]);
    assert!(store.delete_customer("c1", &Actor::default(), Time::MIN).await.unwrap().is_some());
    assert_eq!(read(store, &ids).await, [None, None, None]);
    assert_eq!(tally.database.sql("SELECT count(*) FROM packed_histories").await, Some(0));
}

async fn what_is_retracted_under_a_merged_id_is_retracted_for_its_survivor(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let store = &*store;
    let all = (0..2).flat_map(interactions).collect();
    store.record_interactions(all, RecordOptions::new(Time::MIN)).await.unwrap();
    let (merged, retracted) = (time(MERGED), time("2024-06-02"));
    merge(store, "c0", "c1", merged).await;
    pack_all(store).await;
    let items = interactions(0);
    let wrong: Vec<Interaction> = items.iter().step_by(3).cloned().collect();
    let key = |item: &Interaction| InteractionKey {
        customer_id: item.customer_id.clone(),
        interaction_id: item.interaction_id.clone(),
    };
    let keys = wrong.iter().map(key).collect();
    assert_eq!(
        store
            .retract_interactions(keys, retracted, String::new(), &Actor::default())
            .await
            .unwrap()
            .retracted,
        34
    );
    let with_times = items.into_iter().map(|item| (item.clone(), wrong.contains(&item).then_some(retracted)));
    let own_0 = expected_with(with_times.collect(), &[]);
    let histories = [Some(own_0.clone()), Some(own(1).unite(&[(own_0, merged)]))];
    let ids = ["c0", "c1"].map(str::to_owned);
    assert_eq!(read(store, &ids).await, histories);
    assert!(pack_all(store).await > 0);
    assert_eq!(read(store, &ids).await, histories);
}

/// How often each writes.
const ROUNDS: usize = 40;

/// While some write under either id and others pack, the two are merged; from then on each history of the survivor that
/// is read has everything that was acknowledged.
async fn a_packed_survivor_misses_nothing_that_is_written_under_other_ids(tally: Tally) {
    let stop = Arc::new(AtomicBool::new(false));
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let first = [interactions(0).remove(0), interactions(1).remove(0)];
    store.record_interactions(first.to_vec(), RecordOptions::new(Time::MIN)).await.unwrap();
    let survivor = ["c1".to_owned()];
    let packer = {
        let (store, survivor, stop) = (Arc::clone(&store), survivor.to_vec(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                store.pack(survivor.clone()).await.unwrap();
            }
        })
    };
    let write = async |writer: usize| {
        for round in 0..ROUNDS {
            if (writer, round) == (0, ROUNDS / 4) {
                merge(&*store, "c0", "c1", time(MERGED)).await;
            }
            let id = format!("{writer}-{round}");
            let item = Interaction { interaction_id: id, ..interactions(writer % 2).remove(0) };
            store.record_interactions(vec![item], RecordOptions::new(Time::MIN)).await.unwrap();
            if writer == 0 && round >= ROUNDS / 4 {
                let seen = read(&*store, &survivor).await.remove(0).unwrap().len();
                assert!(seen >= round + 3, "{seen} after round {round}");
            }
        }
    };
    futures_util::future::join_all((0..3).map(write)).await;
    stop.store(true, Ordering::Relaxed);
    packer.await.unwrap();
    assert_eq!(read(&*store, &survivor).await[0].as_ref().unwrap().len(), 3 * ROUNDS + 2);
}
