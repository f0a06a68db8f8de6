//! The rules as text: a file that has the same rules.

use std::fmt;

use toml::{Table, Value};

use super::{AlertRule, AlertRules, Condition};
use crate::{insight::AbcClass, spec::Target};

/// The rules as TOML; nothing when there are none. The webhook is left out, since its URL may be a secret.
impl fmt::Display for AlertRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rules.is_empty() {
            return Ok(());
        }
        let rules = self.rules.iter().map(|rule| Value::Table(table(rule))).collect();
        let file = Table::from_iter([("rule".to_owned(), Value::Array(rules))]);
        f.write_str(&toml::to_string(&file).map_err(|_| fmt::Error)?)
    }
}

fn table(AlertRule { name, condition }: &AlertRule) -> Table {
    let keys: Vec<(&str, Option<Value>)> = match condition {
        Condition::GradeFell { abc } => vec![("abc", classes(abc))],
        Condition::ProbabilityRose { by, abc } => vec![("by", Some((*by).into())), ("abc", classes(abc))],
        Condition::ValueAtRisk { above_minor, abc } => {
            vec![("above_minor", Some((*above_minor).into())), ("abc", classes(abc))]
        }
        Condition::ComplaintOpen { hours } => vec![("hours", Some((*hours).into()))],
        Condition::LeadHot => Vec::new(),
        Condition::ModelDrifted { psi, target } => {
            vec![("psi", Some((*psi).into())), ("target", named(*target))]
        }
        Condition::ModelWorse { target } | Condition::ModelRefused { target } => {
            vec![("target", named(*target))]
        }
        Condition::NotScored { days, target } => {
            vec![("days", Some((*days).into())), ("target", named(*target))]
        }
        Condition::KindSilent { interaction_kind, days } => {
            vec![("interaction_kind", Some(interaction_kind.as_str().into())), ("days", Some((*days).into()))]
        }
    };
    let head = [("name", name.as_str().into()), ("kind", condition.kind().name().into())];
    let keys = keys.into_iter().filter_map(|(key, value)| Some((key, value?)));
    head.into_iter().chain(keys).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// No classes are all, and no target is both.
fn classes(abc: &[AbcClass]) -> Option<Value> {
    (!abc.is_empty()).then(|| Value::Array(abc.iter().map(|class| class.name().into()).collect()))
}

fn named(target: Option<Target>) -> Option<Value> {
    target.map(|target| target.name().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_the_same_rules_without_the_webhook() {
        let documented = include_str!("../../../../docs/alerts.md");
        let file = documented.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let rules = AlertRules::parse(file).unwrap();
        let text = rules.to_string();
        assert!(!text.contains("webhook") && !text.contains("https"), "{text}");
        assert_eq!(AlertRules::parse(&text).unwrap(), AlertRules { webhook: None, ..rules });
        assert_eq!(AlertRules::default().to_string(), "");
    }
}
