//! The names of a spec that do not occur in the data: mostly misspelt.

use super::DataProfile;
use crate::spec::{Selector, Spec, split_property};

/// A name that a spec lists, and that does not occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName<'a> {
    /// The key of the list, with its table, such as `features.kinds`.
    pub key: &'static str,
    /// The name.
    pub name: &'a str,
}

impl DataProfile {
    /// The listed kinds, properties and attributes of a spec that do not occur in the data, in the order of the spec.
    #[must_use]
    pub fn unknown_names<'a>(&self, spec: &'a Spec) -> Vec<UnknownName<'a>> {
        let is_kind = |name: &str| self.kinds.contains_key(name);
        let is_property = |name: &str| {
            split_property(name).is_some_and(|(kind, property)| {
                self.properties.contains_key(&(kind.to_owned(), property.to_owned()))
            })
        };
        let features = &spec.features;
        let start_kinds = not_of("churn.start_kinds", &spec.churn.start_kinds, is_kind);
        let kinds = not_of("features.kinds", &features.kinds, is_kind);
        let properties = not_of("features.properties", &features.properties, is_property);
        let is_attribute = |name: &str| self.attributes.contains_key(name);
        let attributes = not_of("features.attributes", &features.attributes, is_attribute);
        start_kinds.chain(kinds).chain(properties).chain(attributes).collect()
    }
}

/// The listed names that do not occur.
fn not_of<'a>(
    key: &'static str,
    selector: &'a Selector,
    occurs: impl Fn(&str) -> bool,
) -> impl Iterator<Item = UnknownName<'a>> {
    let names = match selector {
        Selector::Auto => &[],
        Selector::List(names) => names.as_slice(),
    };
    names.iter().filter(move |name| !occurs(name)).map(move |name| UnknownName { key, name })
}
