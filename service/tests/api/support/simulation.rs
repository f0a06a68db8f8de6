//! A simulated business: deterministic customers of a known behaviour.

use prost_types::{Struct, Value, value::Kind};
use tally_model::{
    history::AttributeValue,
    simulate::{Business, SimulatedCustomer},
    time::Time,
};
use tally_proto::v1;

use super::{Tally, timestamp};

/// A business with this many customers, of this seed, simulated until this moment.
pub fn business(customers: usize, seed: u64, end: Time) -> Business {
    Business { customers, ..Business::new(seed, end) }
}

/// Whether a simulated customer has an interaction of a kind.
pub fn has_kind(customer: &SimulatedCustomer, kind: &str) -> bool {
    customer.interactions.iter().any(|interaction| interaction.kind == kind)
}

pub fn simulated_customer(customer: &SimulatedCustomer) -> v1::Customer {
    let kind = |value: &AttributeValue| match value {
        AttributeValue::Boolean(truth) => Kind::BoolValue(*truth),
        AttributeValue::Number(number) => Kind::NumberValue(*number),
        AttributeValue::Text(text) => Kind::StringValue(text.clone()),
    };
    let fields = customer
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), Value { kind: Some(kind(value)) }))
        .collect();
    v1::Customer {
        customer_id: customer.customer_id.clone(),
        create_time: Some(timestamp(customer.create_time)),
        attributes: Some(Struct { fields }),
        name: customer.name.clone(),
        ..Default::default()
    }
}

pub fn simulated_interactions(customer: &SimulatedCustomer) -> impl Iterator<Item = v1::Interaction> + '_ {
    customer.interactions.iter().map(|interaction| v1::Interaction {
        customer_id: customer.customer_id.clone(),
        interaction_id: interaction.interaction_id.clone(),
        kind: interaction.kind.to_owned(),
        occur_time: Some(timestamp(interaction.occur_time)),
        amount_minor: interaction.amount_minor,
        channel: interaction.channel.to_owned(),
        properties: interaction.properties.clone().into_iter().collect(),
        record_time: None,
        ..Default::default()
    })
}

impl Tally {
    /// Stores a simulated business, customer by customer.
    pub async fn simulate(&self, business: &Business) {
        let customers: Vec<SimulatedCustomer> = business.iter().collect();
        for part in customers.chunks(200) {
            self.upsert(part.iter().map(simulated_customer).collect()).await.unwrap();
            let interactions: Vec<_> = part.iter().flat_map(simulated_interactions).collect();
            for batch in interactions.chunks(10_000) {
                self.backfill(batch.to_vec()).await.unwrap();
            }
        }
    }

    /// Stores a simulated business whose interactions arrive in no order, many of them more than once, in
    /// batches that cut across customers.
    pub async fn simulate_in_disorder(&self, business: &Business) {
        let customers: Vec<SimulatedCustomer> = business.iter().collect();
        for part in customers.chunks(1_000) {
            self.upsert(part.iter().rev().map(simulated_customer).collect()).await.unwrap();
        }
        let mut interactions: Vec<_> = customers.iter().flat_map(simulated_interactions).collect();
        let repeated = interactions.iter().step_by(3).cloned().collect::<Vec<_>>();
        interactions.extend(repeated);
        let scramble = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut order: Vec<usize> = (0..interactions.len()).collect();
        order.sort_by_key(|n| scramble(*n));
        for batch in order.chunks(777) {
            self.backfill(batch.iter().map(|n| interactions[*n].clone()).collect()).await.unwrap();
        }
    }
}
