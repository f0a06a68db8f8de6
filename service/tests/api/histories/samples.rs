//! Interactions whose histories are hard to get right, and what those histories must be.

use std::collections::BTreeMap;

use tally_model::{
    history::{History, Version, kind},
    time::{DAY, Time},
};
use tally_store::{Interaction, Store};

use crate::support::time;

/// A hundred interactions of a customer, with many equal times, late records, and surveys that differ in
/// their id only.
pub fn interactions(customer: usize) -> Vec<Interaction> {
    let start = time("2024-01-01");
    let kinds = [kind::SURVEY, kind::PURCHASE, kind::SURVEY, "visit", kind::COMPLAINT, kind::RESOLUTION];
    let one = |n: usize| {
        let occur_time = Time(start.0 + (n / 4) as i64 * DAY / 3);
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
            properties: properties(kind, n),
        }
    };
    (0..100).map(one).collect()
}

/// Long and short names, which each database orders in its own way; numbers that a database might round;
/// texts that a packed row must keep.
fn properties(kind: &str, n: usize) -> BTreeMap<String, String> {
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    match kind {
        kind::SURVEY => {
            [(kind::SCORE, format!("{}", n % 7)), (kind::EXPECTED, "2.5".to_owned())].map(owned).into()
        }
        kind::PURCHASE => [
            ("units", format!("0.{n}0000000000000001")),
            ("a_longer_name", format!(" -{n}e-3\t")),
            ("b", "{\"a\": \"\\1\"}, 'NULL' \u{1f980}".to_owned()),
        ]
        .map(owned)
        .into(),
        _ => BTreeMap::default(),
    }
}

/// What the history must be: the same interactions, sorted by the documented order.
pub fn expected(interactions: Vec<Interaction>, versions: &[Version]) -> History {
    expected_with(interactions.into_iter().map(|item| (item, None)).collect(), versions)
}

/// What the history must be, with the times of retraction.
pub fn expected_with(mut interactions: Vec<(Interaction, Option<Time>)>, versions: &[Version]) -> History {
    interactions.sort_by(|(a, a_retracted), (b, b_retracted)| {
        let last = |retracted: &Option<Time>| retracted.unwrap_or(Time::MAX);
        (a.occur_time, &a.interaction_id, last(a_retracted)).cmp(&(
            b.occur_time,
            &b.interaction_id,
            last(b_retracted),
        ))
    });
    let mut history = History::default();
    for (item, retract_time) in interactions {
        let number = |key: &str| item.properties.get(key).and_then(|text| text.parse::<f64>().ok());
        let survey = number(kind::SCORE).zip(number(kind::EXPECTED));
        history.push(&item.kind, item.occur_time, item.record_time, item.amount_minor, survey);
        history.push_channel(&item.channel);
        item.properties.iter().for_each(|(name, text)| history.push_property(name, text));
        retract_time.into_iter().for_each(|time| history.push_retraction(time));
    }
    versions.iter().cloned().for_each(|version| history.push_version(version));
    history
}

/// The histories that the store returns, unpacked for comparison.
pub async fn read(store: &dyn Store, customer_ids: &[String]) -> Vec<Option<History>> {
    let found = store.histories(customer_ids).await.unwrap();
    found.into_iter().map(|packed| packed.map(|packed| packed.unpack().unwrap())).collect()
}
