//! The types of attributes: what the champions expect, and what customers bring.

use std::{collections::HashMap, sync::Arc};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tally_model::{
    features::{Measure, Scale},
    history::AttributeValue,
    spec::Target,
};
use tally_proto::values::number;
use tally_store::NewCustomer;

use super::Model;
use crate::platform::metrics::MetricsRegistry;

/// The attributes that champions use, and how often customers bring them with another type.
pub(super) struct AttributeTypes {
    mismatches: Family<AttributeLabel, Counter>,
}

/// The label of a metric that exists once for each attribute that a champion has used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttributeLabel {
    target: &'static str,
    attribute: String,
}

impl AttributeLabel {
    fn new(target: Target, attribute: &str) -> Self {
        Self { target: target.name(), attribute: attribute.to_owned() }
    }
}

impl AttributeTypes {
    pub(super) fn new(metrics: &MetricsRegistry) -> Self {
        Self {
            mismatches: metrics.register(
                "tally_attribute_type_mismatches",
                "Attributes in UpsertCustomers whose type is not the one that the champion uses",
            ),
        }
    }

    /// Lets the counters of a champion exist from the start, so that they can be alarmed on when they rise.
    pub(super) fn expect(&self, champion: &Model) {
        for (name, scale) in champion.attributes() {
            if matches!(scale, Scale::Number | Scale::Boolean) {
                let label = AttributeLabel::new(champion.name.target, name);
                drop(self.mismatches.get_or_create(&label));
            }
        }
    }

    /// Turns texts into numbers where the champions use an attribute as a number, and counts the values that are of
    /// another type than a champion uses.
    pub(super) fn apply(&self, champions: &[Arc<Model>], customers: &mut [NewCustomer]) {
        let mut uses: HashMap<&str, Vec<(Target, &Scale)>> = HashMap::new();
        for champion in champions {
            for (name, scale) in champion.attributes() {
                uses.entry(name).or_default().push((champion.name.target, scale));
            }
        }
        for (name, value) in customers.iter_mut().flat_map(|customer| &mut customer.attributes) {
            let Some(uses) = uses.get(name.as_str()) else { continue };
            if let AttributeValue::Text(text) = &*value
                && uses.iter().all(|(_, scale)| **scale == Scale::Number)
                && let Some(number) = number(text)
            {
                *value = AttributeValue::Number(number);
            }
            for (target, _) in uses.iter().filter(|(_, scale)| !is_on(value, scale)) {
                self.mismatches.get_or_create(&AttributeLabel::new(*target, name)).inc();
            }
        }
    }
}

/// Whether a value has a place on a scale. Every value has a name, so it has one among the levels of a category.
const fn is_on(value: &AttributeValue, scale: &Scale) -> bool {
    match scale {
        Scale::Number => matches!(value, AttributeValue::Number(_)),
        Scale::Boolean => matches!(value, AttributeValue::Boolean(_)),
        Scale::Category { .. } => true,
    }
}

impl Model {
    /// The attributes that it uses, with their scales.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &Scale)> {
        self.scorer.artifact().encoder.features.iter().filter_map(|feature| match &feature.measure {
            Measure::Attribute { name, scale } => Some((name.as_str(), scale)),
            _ => None,
        })
    }
}
