//! The interactions that the tests of bulk ingest store, and the check that exactly those are stored.

use std::collections::BTreeMap;

use tally_proto::v1;

use crate::support::{Tally, interaction, time, timestamp};

/// How many customers the interactions belong to.
pub const CUSTOMERS: usize = 97;

/// Interaction `n`; its customer has others, too, and its time does not follow `n`.
pub fn item(n: usize) -> v1::Interaction {
    let day = time("2024-01-01").plus_days((n * 7 % 365) as i64);
    v1::Interaction {
        occur_time: Some(timestamp(day)),
        amount_minor: (!n.is_multiple_of(3)).then_some(n as i64 * 10 - 500),
        channel: ["web", "shop", ""][n % 3].to_owned(),
        properties: (0..n % 3).map(|key| (format!("p{key}"), format!("„{n}“, \\"))).collect(),
        ..interaction(&format!("C{}", n * 31 % CUSTOMERS), &format!("I{n}"), "visit", "2024-01-01")
    }
}

/// The numbers below `end` in no order, each once.
pub fn scrambled(end: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..end).collect();
    numbers.sort_by_key(|n| (*n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    numbers
}

/// Asserts that the interactions below `end` are stored and nothing else, and that every customer begins with
/// its earliest.
pub async fn assert_stored(tally: &Tally, end: usize) {
    let mut expected: BTreeMap<String, Vec<v1::Interaction>> = BTreeMap::new();
    for n in 0..end {
        let item = v1::Interaction { record_time: item(n).occur_time, ..item(n) };
        expected.entry(item.customer_id.clone()).or_default().push(item);
    }
    assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(end as i64));
    assert_eq!(tally.database.sql("SELECT count(*) FROM customers").await, Some(expected.len() as i64));
    for (customer_id, interactions) in expected {
        assert_customer(tally, customer_id, interactions).await;
    }
}

async fn assert_customer(tally: &Tally, customer_id: String, mut expected: Vec<v1::Interaction>) {
    let request = v1::GetCustomerRequest { customer_id: customer_id.clone() };
    let customer = tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap();
    let seconds = |item: &v1::Interaction| item.occur_time.unwrap().seconds;
    assert_eq!(customer.create_time.map(|time| time.seconds), expected.iter().map(seconds).min());
    let request = v1::ListInteractionsRequest { customer_id, page_size: 1_000, ..Default::default() };
    let mut stored = tally.interactions().list_interactions(request).await.unwrap().into_inner();
    expected.sort_by(|a, b| a.interaction_id.cmp(&b.interaction_id));
    stored.interactions.sort_by(|a, b| a.interaction_id.cmp(&b.interaction_id));
    assert_eq!(stored.interactions, expected);
}
