//! Histories come out of both databases as they must: in order, also of equal times, with when each
//! thing became known, and every version of the customer record.

use std::collections::BTreeMap;

use tally_model::{
    history::{AttributeValue, Attributes, History, Version, kind},
    time::{DAY, Time},
};
use tally_service::store::{self, Interaction, NewCustomer};

use crate::support::{Tally, on_both_stores, time};

on_both_stores!(histories_are_in_order_whatever_the_order_of_arrival);

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
    let store = store::open(&tally.database.url).await.unwrap();
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
    let found = store.histories(&asked).await.unwrap();
    let whole = |customer: usize, versions: &[Version]| Some(wanted(interactions(customer), versions));
    let expected = [whole(2, &[]), whole(0, &versions), None, whole(0, &versions), whole(1, &[])];
    assert_eq!(found, expected);
    let history = expected[0].as_ref().unwrap();
    assert!(history.surveys().len() > 10 && history.numbers().len() > 50 && history.texts().len() > 10);
}
