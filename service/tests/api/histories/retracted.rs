//! Retracted interactions are in their places among the others of the same moment, as of an import that has dates only.

use std::collections::BTreeMap;

use tally_model::{history::History, time::Time};
use tally_store::{Actor, Interaction, InteractionKey, RecordOptions, Store};

use super::samples::{expected_with, read};
use crate::support::{Tally, draw, on_both_stores, time};

on_both_stores!(retracted_interactions_are_in_order_among_many_of_a_moment);

/// Of each customer: how many interactions it has, and one in how many of them is retracted. The last one has more than
/// are read at once.
const CUSTOMERS: [(u64, u64); 5] = [(400, 2), (400, 30), (300, 1), (300, u64::MAX), (1_500, 3)];

async fn retracted_interactions_are_in_order_among_many_of_a_moment(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let (mut state, mut ids, mut wanted) = (3, Vec::new(), Vec::new());
    for (n, (count, one_in)) in CUSTOMERS.into_iter().enumerate() {
        let id = format!("c{n}");
        wanted.push(Some(stored(&*store, &mut state, (&id, count, one_in)).await));
        ids.push(id);
    }
    assert!(read(&*store, &ids).await == wanted, "together");
    for (id, wanted) in ids.iter().zip(&wanted) {
        assert!(read(&*store, std::slice::from_ref(id)).await[0] == *wanted, "{id} alone");
    }
    assert_eq!(store.pack(ids.clone()).await.unwrap(), ids.len());
    assert!(read(&*store, &ids).await == wanted, "packed");
}

/// Stores `count` interactions of a customer and retracts one in `one_in` of them. Records a third of those again under the
/// same id, and retracts half of them a second time. Returns the expected history.
async fn stored(store: &dyn Store, state: &mut u64, (id, count, one_in): (&str, u64, u64)) -> History {
    let [first, second, third] = ["2024-05-01", "2024-05-02", "2024-05-03"].map(time);
    let mut kept: Vec<Interaction> = (0..count).map(|n| interaction(state, id, n)).collect();
    record(store, &kept, Time::MIN).await;
    let retracted = drawn(state, &mut kept, one_in);
    retract(store, &retracted, first).await;
    let again = |item: &Interaction| Interaction { amount_minor: None, record_time: second, ..item.clone() };
    let mut anew: Vec<Interaction> = drawn(state, &mut retracted.clone(), 3).iter().map(again).collect();
    record(store, &anew, second).await;
    let retracted_again = drawn(state, &mut anew, 2);
    retract(store, &retracted_again, third).await;
    let all = [(kept, None), (anew, None), (retracted, Some(first)), (retracted_again, Some(third))];
    let all = all.into_iter().flat_map(|(items, time)| items.into_iter().map(move |item| (item, time)));
    expected_with(all.collect(), &[])
}

/// One of three days, under an id that says nothing about the order of arrival. One in five is too long for the index of
/// PostgreSQL.
fn interaction(state: &mut u64, customer_id: &str, n: u64) -> Interaction {
    let occur_time = time(["2024-01-01", "2024-01-02", "2024-01-03"][draw(state, 3) as usize]);
    let note = if draw(state, 5) == 0 { "x".repeat(600) } else { "short".to_owned() };
    Interaction {
        customer_id: customer_id.to_owned(),
        interaction_id: format!("{}-{n}", draw(state, 1_000)),
        kind: ["purchase", "visit"][draw(state, 2) as usize].to_owned(),
        occur_time,
        // So that no two are alike.
        record_time: Time(occur_time.0 + n as i64),
        amount_minor: Some(n as i64),
        channel: String::new(),
        properties: BTreeMap::from([("note".to_owned(), note)]),
    }
}

/// Takes about one in so many items out of a list.
fn drawn(state: &mut u64, from: &mut Vec<Interaction>, one_in: u64) -> Vec<Interaction> {
    let (taken, left) = std::mem::take(from).into_iter().partition(|_| draw(state, one_in) == 0);
    *from = left;
    taken
}

async fn record(store: &dyn Store, items: &[Interaction], when: Time) {
    if items.is_empty() {
        return;
    }
    store.record_interactions(items.to_vec(), RecordOptions::new(when)).await.unwrap();
}

async fn retract(store: &dyn Store, items: &[Interaction], when: Time) {
    if items.is_empty() {
        return;
    }
    let key = |item: &Interaction| InteractionKey {
        customer_id: item.customer_id.clone(),
        interaction_id: item.interaction_id.clone(),
    };
    let keys = items.iter().map(key).collect();
    let done = store.retract_interactions(keys, when, String::new(), &Actor::default()).await.unwrap();
    assert_eq!(done.retracted, items.len());
}
