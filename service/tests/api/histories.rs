//! Histories come out of both databases as they must: in order, also of equal times, with when each
//! thing became known, and every version of the customer record; and the same from their rows as packed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tally_model::{
    history::{AttributeValue, Attributes, History, Version, kind},
    time::{DAY, Time},
};
use tally_store::{self, Interaction, NewCustomer, Store};

use crate::support::{Served, Tally, eventually, on_both_stores, time};

on_both_stores!(
    histories_are_in_order_whatever_the_order_of_arrival,
    packed_histories_miss_nothing_that_is_written_meanwhile,
    servers_pack_by_themselves,
);

/// Interactions with many equal times, late records and surveys that differ only by their id.
fn interactions(customer: usize) -> Vec<Interaction> {
    let start = time("2024-01-01");
    let kinds = [kind::SURVEY, kind::PURCHASE, kind::SURVEY, "visit", kind::COMPLAINT, kind::RESOLUTION];
    let one = |n: usize| {
        let occur_time = Time(start.0 + (n / 4) as i64 * DAY / 3);
        let survey = [(kind::SCORE, format!("{}", n % 7)), (kind::EXPECTED, "2.5".to_owned())];
        // Long and short names, which the databases order each in its way; numbers that a database
        // might round; texts that a packed row must survive.
        let purchase = [
            ("units", format!("0.{n}0000000000000001")),
            ("a_longer_name", format!(" -{n}e-3\t")),
            ("b", "{\"a\": \"\\1\"}, 'NULL' \u{1f980}".to_owned()),
        ];
        let kind = kinds[(n * 5 + customer) % kinds.len()];
        Interaction {
            customer_id: format!("c{customer}"),
            // Neither in the order of the times nor in that of arrival.
            interaction_id: format!("{:03}", n * 37 % 101),
            kind: kind.to_owned(),
            occur_time,
            record_time: Time(occur_time.0 + (n % 3) as i64 * 1_234_567),
            amount_minor: n.is_multiple_of(2).then_some(n as i64 - 50),
            channel: String::new(),
            properties: match kind {
                kind::SURVEY => survey.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
                kind::PURCHASE => purchase.map(|(key, value)| (key.to_owned(), value)).into(),
                _ => BTreeMap::default(),
            },
        }
    };
    (0..100).map(one).collect()
}

/// What the history must be, built from the same interactions sorted by the documented order.
fn wanted(mut interactions: Vec<Interaction>, versions: &[Version]) -> History {
    interactions.sort_by(|a, b| (a.occur_time, &a.interaction_id).cmp(&(b.occur_time, &b.interaction_id)));
    let mut history = History::default();
    for item in interactions {
        let number = |key: &str| item.properties.get(key).and_then(|text| text.parse::<f64>().ok());
        let survey = number(kind::SCORE).zip(number(kind::EXPECTED));
        history.push(&item.kind, item.occur_time, item.record_time, item.amount_minor, survey);
        item.properties.iter().for_each(|(name, text)| history.push_property(name, text));
    }
    versions.iter().cloned().for_each(|version| history.push_version(version));
    history
}

async fn histories_are_in_order_whatever_the_order_of_arrival(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let created = time("2023-12-01");
    let attributes = |n: f64| -> Attributes {
        [("x".to_owned(), AttributeValue::Number(n)), ("y".to_owned(), AttributeValue::Text(format!("{n}")))]
            .into()
    };
    let upsert = |n: f64| NewCustomer {
        customer_id: "c0".to_owned(),
        name: None,
        create_time: Some(created),
        attributes: attributes(n),
    };
    let moments = [time("2024-01-05"), time("2024-02-05"), time("2024-03-05")];
    for (n, now) in moments.into_iter().enumerate() {
        store.upsert_customers(vec![upsert(n as f64 / 3.0)], now).await.unwrap();
    }
    let versions: Vec<Version> = (0..3)
        .map(|n| {
            let known = if n == 0 { created } else { moments[n] };
            let attributes = attributes(n as f64 / 3.0);
            Version { effective_time: known, record_time: known, create_time: created, attributes }
        })
        .collect();
    let mut all: Vec<Interaction> = (0..3).flat_map(interactions).collect();
    all.sort_by_key(|item| (item.interaction_id.bytes().rev().collect::<Vec<_>>(), item.customer_id.clone()));
    for batch in all.chunks(17) {
        store.record_interactions(batch.to_vec()).await.unwrap();
        store.record_interactions(batch.to_vec()).await.unwrap();
    }
    let asked = ["c2", "c0", "nobody", "c0", "c1"].map(str::to_owned);
    let found = unpacked(&*store, &asked).await;
    let whole = |customer: usize, versions: &[Version]| Some(wanted(interactions(customer), versions));
    let expected = [whole(2, &[]), whole(0, &versions), None, whole(0, &versions), whole(1, &[])];
    assert_eq!(found, expected);
    let history = expected[0].as_ref().unwrap();
    assert!(history.surveys().len() > 10 && history.numbers().len() > 50 && history.texts().len() > 10);

    // Packed, they say the same; and so does what is written after that.
    let all = || store.unpacked("", 10);
    assert_eq!(all().await.unwrap(), ["c0", "c1", "c2"]);
    assert_eq!(store.pack(all().await.unwrap()).await.unwrap(), 3);
    assert!(all().await.unwrap().is_empty());
    assert_eq!(unpacked(&*store, &asked).await, expected);
    let again = interactions(1);
    assert_eq!(store.record_interactions(again.clone()).await.unwrap().duplicates, 100);
    assert!(all().await.unwrap().is_empty(), "nothing new was written");
    let late = Interaction { interaction_id: "late".to_owned(), ..again[50].clone() };
    store.record_interactions(vec![late.clone()]).await.unwrap();
    store.upsert_customers(vec![upsert(7.0)], time("2024-04-05")).await.unwrap();
    assert_eq!(all().await.unwrap(), ["c0", "c1"]);
    let found = unpacked(&*store, &["c1", "c0"].map(str::to_owned)).await;
    assert_eq!(found[0], Some(wanted([again, vec![late]].concat(), &[])));
    assert_eq!(found[1].as_ref().unwrap().versions().len(), 4);
    // A program of another format does not read what this one has packed.
    tally.database.sql("UPDATE packed_histories SET format = 0").await;
    assert_eq!(all().await.unwrap(), ["c0", "c1", "c2"]);
    assert_eq!(unpacked(&*store, &asked[..1]).await, expected[..1]);
    assert!(store.delete_customer("c2").await.unwrap());
    assert_eq!(tally.database.sql("SELECT count(*) FROM packed_histories").await, Some(0));
}

/// As the store hands them over, for looking at.
async fn unpacked(store: &dyn Store, customer_ids: &[String]) -> Vec<Option<History>> {
    let found = store.histories(customer_ids).await.unwrap();
    found.into_iter().map(|packed| packed.map(|packed| packed.unpack().unwrap())).collect()
}

/// Writers of the same customers and somebody who packs them, all the time: whatever is acknowledged is in the
/// next history that is read.
async fn packed_histories_miss_nothing_that_is_written_meanwhile(tally: Tally) {
    const WRITERS: usize = 3;
    const ROUNDS: usize = 40;
    let over = Arc::new(AtomicBool::new(false));
    let packer = {
        let (store, over) = (tally_store::open(&tally.database.url).await.unwrap(), Arc::clone(&over));
        tokio::spawn(async move {
            let mut packed = 0;
            while !over.load(Ordering::Relaxed) {
                packed += store.pack(vec!["c0".to_owned(), "c1".to_owned()]).await.unwrap();
            }
            packed
        })
    };
    let writers = (0..WRITERS).map(async |writer| {
        let store = tally_store::open(&tally.database.url).await.unwrap();
        for round in 0..ROUNDS {
            let batch: Vec<_> = (0..2)
                .map(|customer| Interaction {
                    interaction_id: format!("{writer}-{round}"),
                    kind: format!("of {writer}"),
                    properties: BTreeMap::new(),
                    ..interactions(customer).remove(0)
                })
                .collect();
            store.record_interactions(batch).await.unwrap();
            for history in unpacked(&*store, &["c0".to_owned(), "c1".to_owned()]).await {
                let history = history.unwrap();
                let own = history.kind_slot(&format!("of {writer}"));
                let seen = history.events().filter(|event| Some(event.kind) == own).count();
                assert_eq!(seen, round + 1, "all that this writer was acknowledged");
            }
        }
    });
    futures_util::future::join_all(writers).await;
    over.store(true, Ordering::Relaxed);
    let packed = packer.await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let both = ["c0".to_owned(), "c1".to_owned()];
    let lengths = async || unpacked(&*store, &both).await.into_iter().flatten().map(|history| history.len());
    assert_eq!(lengths().await.collect::<Vec<_>>(), [WRITERS * ROUNDS; 2]);
    store.pack(both.to_vec()).await.unwrap();
    assert_eq!(lengths().await.collect::<Vec<_>>(), [WRITERS * ROUNDS; 2]);
    assert!(packed > 0, "somebody did pack");
}

async fn servers_pack_by_themselves(tally: Tally) {
    let store = tally_store::open(&tally.database.url).await.unwrap();
    store.record_interactions((0..3).flat_map(interactions).collect()).await.unwrap();
    let _server = Served::start(&tally.database.url, &["--pack-every-seconds", "1"]);
    let all_packed = async || store.unpacked("", 1).await.unwrap().is_empty();
    eventually(all_packed).await;
    let late = Interaction { interaction_id: "late".to_owned(), ..interactions(1).remove(0) };
    store.record_interactions(vec![late]).await.unwrap();
    eventually(all_packed).await;
}
