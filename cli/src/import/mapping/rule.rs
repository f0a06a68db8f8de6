//! What the rules for customers and those for interactions have in common.

use super::{
    cell::Cell,
    spec::{Conditions, CustomerRule, Extras, InteractionRule},
};

/// A rule for customers or interactions.
pub(super) struct Rule<'a> {
    /// By the columns of the table that the rule makes, in their order.
    pub(super) own: Vec<(&'static str, Option<&'a Cell>)>,
    /// So many of them are required.
    pub(super) required: usize,
    pub(super) extras: &'a Extras,
    pub(super) ignore: &'a [String],
    pub(super) wanted: &'a Conditions,
    pub(super) unwanted: &'a Conditions,
    pub(super) skip_empty: &'a [String],
}

impl<'a> From<&'a CustomerRule> for Rule<'a> {
    fn from(rule: &'a CustomerRule) -> Self {
        let own = vec![
            ("customer_id", Some(&rule.customer_id)),
            ("create_time", Some(&rule.create_time)),
            ("name", rule.name.as_ref()),
        ];
        Self {
            own,
            required: 2,
            extras: &rule.attributes,
            ignore: &rule.ignore,
            wanted: &rule.r#where,
            unwanted: &rule.unless,
            skip_empty: &rule.skip_empty,
        }
    }
}

impl<'a> From<&'a InteractionRule> for Rule<'a> {
    fn from(rule: &'a InteractionRule) -> Self {
        let own = vec![
            ("interaction_id", Some(&rule.interaction_id)),
            ("customer_id", Some(&rule.customer_id)),
            ("kind", Some(&rule.kind)),
            ("occur_time", Some(&rule.occur_time)),
            ("amount", rule.amount.as_ref()),
            ("channel", rule.channel.as_ref()),
        ];
        Self {
            own,
            required: 4,
            extras: &rule.properties,
            ignore: &rule.ignore,
            wanted: &rule.r#where,
            unwanted: &rule.unless,
            skip_empty: &rule.skip_empty,
        }
    }
}

impl Rule<'_> {
    /// Whether all that `skip_empty` names are columns of the table. The error says which are.
    pub(super) fn check(&self) -> Result<(), String> {
        let names: Vec<&str> = self.own.iter().map(|(name, _)| *name).collect();
        match self.skip_empty.iter().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(format!("skip_empty has `{name}`; allowed are {}", names.join(", "))),
            None => Ok(()),
        }
    }
}
