//! Files of settings.

use serde::Serialize;
use tally_model::{
    insight::{
        AbcClass, InsightSpec,
        alert::{AlertRule, AlertRules, Condition, WebhookSpec},
    },
    spec::{Spec, Target},
};
use toml::{Table, Value};

/// Reads a text as a spec of models, as settings of insight (with the playbook) and as rules of alerts. What is read can be
/// printed, and reads as the same again; a refusal says something.
pub fn specs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match Spec::parse(&text) {
        Ok(spec) => {
            let printed = spec.to_string();
            assert_eq!(Spec::parse(&printed).ok(), Some(spec), "{printed}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match InsightSpec::parse(&text) {
        Ok(spec) => {
            let printed = toml::to_string(&spec).expect("settings are TOML");
            assert_eq!(InsightSpec::parse(&printed).ok(), Some(spec), "{printed}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    match AlertRules::parse(&text) {
        Ok(rules) => {
            let printed = print(&rules);
            assert_eq!(AlertRules::parse(&printed).ok(), Some(rules), "{printed}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[derive(Serialize)]
struct RulesFile<'a> {
    rule: Vec<Table>,
    webhook: Option<&'a WebhookSpec>,
}

fn print(rules: &AlertRules) -> String {
    let rule = rules.rules.iter().map(table).collect();
    toml::to_string(&RulesFile { rule, webhook: rules.webhook.as_ref() }).expect("rules are TOML")
}

/// A rule with the keys of its kind, as docs/alerts.md has them.
fn table(AlertRule { name, condition }: &AlertRule) -> Table {
    let days = |days: &u32| ("days", Some(Value::from(*days)));
    let abc = |classes: &[AbcClass]| {
        let names: Vec<&str> = classes.iter().map(|class| class.name()).collect();
        ("abc", Some(Value::from(names)))
    };
    let of_target = |target: &Option<Target>| ("target", target.map(|target| target.name().into()));
    let keys = match condition {
        Condition::GradeFell { abc: classes } => vec![abc(classes)],
        Condition::ProbabilityRose { by, abc: classes } => vec![("by", Some((*by).into())), abc(classes)],
        Condition::ValueAtRisk { above_minor, abc: classes } => {
            vec![("above_minor", Some((*above_minor).into())), abc(classes)]
        }
        Condition::ComplaintOpen { hours } => vec![("hours", Some((*hours).into()))],
        Condition::LeadHot => Vec::new(),
        Condition::ModelDrifted { psi, target } => vec![("psi", Some((*psi).into())), of_target(target)],
        Condition::ModelWorse { target } | Condition::ModelRefused { target } => vec![of_target(target)],
        Condition::NotScored { days: after, target } => vec![days(after), of_target(target)],
        Condition::KindSilent { interaction_kind, days: after } => {
            vec![days(after), ("interaction_kind", Some(interaction_kind.as_str().into()))]
        }
    };
    let named = [("name", name.as_str().into()), ("kind", condition.kind().name().into())];
    let keys = keys.into_iter().filter_map(|(key, value)| Some((key, value?)));
    named.into_iter().chain(keys).map(|(key, value)| (key.to_owned(), value)).collect()
}
