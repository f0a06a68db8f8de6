//! Messages of the contract, made short.

use prost_types::{Struct, Timestamp, Value, value::Kind};
use tally_model::time::Time;
use tally_proto::v1::{self, batch_result::Result as Item};

pub fn time(text: &str) -> Time {
    text.parse().unwrap()
}

pub fn timestamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.0.div_euclid(1_000_000), nanos: (time.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

/// A customer with attributes.
pub fn customer(id: &str, created: &str, attributes: &[(&str, Kind)]) -> v1::Customer {
    let fields = attributes
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), Value { kind: Some(kind.clone()) }))
        .collect();
    v1::Customer {
        customer_id: id.to_owned(),
        create_time: Some(timestamp(time(created))),
        attributes: Some(Struct { fields }).filter(|attributes| !attributes.fields.is_empty()),
        name: String::new(),
        ..Default::default()
    }
}

/// An interaction with the required fields only.
pub fn interaction(customer: &str, id: &str, kind: &str, occurred: &str) -> v1::Interaction {
    v1::Interaction {
        customer_id: customer.to_owned(),
        interaction_id: id.to_owned(),
        kind: kind.to_owned(),
        occur_time: Some(timestamp(time(occurred))),
        ..Default::default()
    }
}

/// The score in an item of a batch, which must not be an error.
pub fn score_of(item: v1::BatchResult) -> v1::Score {
    match item.result {
        Some(Item::Score(score)) => score,
        other => panic!("{other:?}"),
    }
}
