//! The rules as a person writes them in TOML. An unknown key, a key that a kind does not have, and a value out of its range
//! are errors that name the rule and say what is allowed.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{AlertKind, AlertRule, AlertRules, Condition, WebhookSpec};
use crate::{
    evaluation::drift::LARGE,
    insight::{
        AbcClass,
        spec::{check, is_name},
    },
    spec::{SpecError, Target, parse},
};

/// The most rules of a file.
const MOST_RULES: usize = 100;
/// The least PSI of a rule. Chance alone moves the scores of two thousand customers that far.
const LEAST_PSI: f64 = 0.01;
const HOURS: RangeInclusive<i64> = 1..=8_760;
const DAYS: RangeInclusive<i64> = 1..=3_650;
const MINOR_UNITS: RangeInclusive<i64> = 0..=1_000_000_000_000_000;
/// What the name of a rule is.
const NAMES: &str = "1 to 64 characters, none of them a control character, no blank at an end";
/// The keys that rules of some kind have.
const KEYS: [&str; 10] =
    ["name", "kind", "abc", "by", "above_minor", "hours", "days", "psi", "target", "interaction_kind"];

/// The whole file. Each rule is read by itself, so that a message can name it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    rule: Vec<Table>,
    webhook: Option<WebhookSpec>,
}

/// A `[[rule]]` table, whose kind decides which keys it may have.
struct RuleTable {
    kind: AlertKind,
    keys: Table,
}

impl AlertRules {
    /// Parses and checks a file.
    ///
    /// # Errors
    /// [`SpecError`] names the rule, the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        parse(text, RulesFile::checked)
    }
}

impl RulesFile {
    fn checked(self) -> Result<AlertRules, SpecError> {
        check(self.rule.len() <= MOST_RULES, "rule", self.rule.len(), "up to 100 rules")?;
        let mut rules: Vec<AlertRule> = Vec::new();
        for (n, table) in self.rule.into_iter().enumerate() {
            let place = place(&table, n + 1);
            let rule = RuleTable::read(table).and_then(RuleTable::checked);
            let rule = rule.map_err(|error| error.within(place))?;
            let is_new = rules.iter().all(|other| other.name != rule.name);
            check(is_new, "name", format!("{:?}", rule.name), "names that no rule before it has")
                .map_err(|error| error.within(format!("rule {}", n + 1)))?;
            rules.push(rule);
        }
        if let Some(webhook) = &self.webhook {
            let fine = (1..=60).contains(&webhook.timeout_seconds);
            check(fine, "webhook.timeout_seconds", webhook.timeout_seconds, "1 to 60 seconds")?;
        }
        Ok(AlertRules { rules, webhook: self.webhook })
    }
}

/// What messages call a rule: its name, or its number in the file when it has none.
fn place(table: &Table, number: usize) -> String {
    match table.get("name").and_then(Value::as_str).filter(|name| is_name(name)) {
        Some(name) => format!("rule {name:?}"),
        None => format!("rule {number}"),
    }
}

impl RuleTable {
    /// Reads a rule, whose kind says which keys it may have.
    fn read(keys: Table) -> Result<Self, SpecError> {
        need(keys.get("name"), None, "name", NAMES)?;
        let given = keys.get("kind");
        let kind = given.and_then(Value::as_str);
        let kind = kind.and_then(|kind| AlertKind::ALL.into_iter().find(|one| one.name() == kind));
        let kind = need(kind, given, "kind", AlertKind::NAMES)?;
        let has_key = |kind: AlertKind, key: &str| kind.keys().split(", ").any(|one| one == key);
        if let Some((key, value)) = keys.iter().find(|(key, _)| !has_key(kind, key)) {
            // Keys that rules of other kinds have are no spelling mistakes.
            let of_others = KEYS.into_iter().find(|one| one == key);
            let with = format!("with the kind {}", kind.name());
            return Err(match of_others {
                Some(key) => SpecError::value(key, format!("{} {with}", shown(value)), kind.keys()),
                None => SpecError::unknown_key(key, with, kind.keys()),
            });
        }
        Ok(Self { kind, keys })
    }

    fn checked(self) -> Result<AlertRule, SpecError> {
        let name = self.name("name", NAMES)?;
        let condition = match self.kind {
            AlertKind::GradeFell => Condition::GradeFell { abc: self.abc()? },
            AlertKind::ProbabilityRose => Condition::ProbabilityRose { by: self.by()?, abc: self.abc()? },
            AlertKind::ValueAtRisk => {
                let allowed = "whole numbers of minor units from 0 to 10^15";
                Condition::ValueAtRisk {
                    above_minor: self.whole("above_minor", MINOR_UNITS, allowed)?,
                    abc: self.abc()?,
                }
            }
            AlertKind::ComplaintOpen => {
                Condition::ComplaintOpen { hours: self.small("hours", HOURS, "1 to 8760 hours")? }
            }
            AlertKind::LeadHot => Condition::LeadHot,
            AlertKind::ModelDrifted => Condition::ModelDrifted { psi: self.psi()?, target: self.target()? },
            AlertKind::ModelWorse => Condition::ModelWorse { target: self.target()? },
            AlertKind::ModelRefused => Condition::ModelRefused { target: self.target()? },
            AlertKind::NotScored => Condition::NotScored { days: self.days()?, target: self.target()? },
            AlertKind::KindSilent => {
                let allowed = "kinds of interaction, 1 to 64 characters";
                Condition::KindSilent {
                    days: self.days()?,
                    interaction_kind: self.name("interaction_kind", allowed)?,
                }
            }
        };
        Ok(AlertRule { name, condition })
    }

    /// A text that can be a name.
    fn name(&self, key: &'static str, allowed: &'static str) -> Result<String, SpecError> {
        let given = self.keys.get(key);
        let name = given.and_then(Value::as_str).filter(|name| is_name(name));
        need(name.map(str::to_owned), given, key, allowed)
    }

    fn abc(&self) -> Result<Vec<AbcClass>, SpecError> {
        let Some(given) = self.keys.get("abc") else { return Ok(Vec::new()) };
        let class =
            |name: &Value| AbcClass::ALL.into_iter().find(|class| name.as_str() == Some(class.name()));
        let classes = given.as_array().and_then(|list| list.iter().map(class).collect());
        need(classes, Some(given), "abc", r#"lists of "A", "B", "C" and "none""#)
    }

    fn by(&self) -> Result<f64, SpecError> {
        let given = self.keys.get("by");
        let by = given.and_then(number).filter(|by| *by > 0.0 && *by < 1.0);
        need(by, given, "by", "numbers above 0 and below 1")
    }

    fn days(&self) -> Result<u32, SpecError> {
        self.small("days", DAYS, "1 to 3650 days")
    }

    fn psi(&self) -> Result<f64, SpecError> {
        let Some(given) = self.keys.get("psi") else { return Ok(LARGE) };
        let psi = number(given).filter(|psi| (LEAST_PSI..=10.0).contains(psi));
        need(psi, Some(given), "psi", "0.01 to 10; what is less is chance")
    }

    fn target(&self) -> Result<Option<Target>, SpecError> {
        let Some(given) = self.keys.get("target") else { return Ok(None) };
        let target = Target::ALL.into_iter().find(|target| given.as_str() == Some(target.name()));
        need(target, Some(given), "target", r#""lead" and "churn""#).map(Some)
    }

    /// A whole number within its range.
    fn whole(
        &self,
        key: &'static str,
        range: RangeInclusive<i64>,
        allowed: &'static str,
    ) -> Result<i64, SpecError> {
        let given = self.keys.get(key);
        need(given.and_then(Value::as_integer).filter(|number| range.contains(number)), given, key, allowed)
    }

    /// A whole number within a range from 0 to at most 2³² − 1.
    fn small(
        &self,
        key: &'static str,
        range: RangeInclusive<i64>,
        allowed: &'static str,
    ) -> Result<u32, SpecError> {
        Ok(u32::try_from(self.whole(key, range, allowed)?).unwrap_or(u32::MAX))
    }
}

/// A number with or without a decimal point.
fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|number| number as f64))
}

/// The value of a key that a rule must have; the error repeats what was given.
fn need<T>(
    value: Option<T>,
    given: Option<&Value>,
    key: &'static str,
    allowed: &'static str,
) -> Result<T, SpecError> {
    value.ok_or_else(|| match given {
        None => SpecError::Missing { key, allowed },
        Some(given) => SpecError::value(key, shown(given), allowed),
    })
}

/// A value as the file has it, in one line.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that docs/alerts.md prints.
    const DOCUMENTED: &str = include_str!("../../../../docs/alerts.md");

    #[test]
    fn the_documented_file_has_a_rule_of_every_kind() {
        let file = DOCUMENTED.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let rules = AlertRules::parse(file).unwrap();
        let mut kinds: Vec<AlertKind> = rules.rules.iter().map(|rule| rule.condition.kind()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut all = AlertKind::ALL.to_vec();
        all.sort_unstable();
        assert_eq!(kinds, all);
        assert!(rules.webhook.is_some() && rules.look_at_passes());
        let names = AlertKind::ALL.map(AlertKind::name).join(", ");
        assert_eq!(AlertKind::NAMES.replace(" and ", ", "), names);
        let keys = AlertKind::ALL.into_iter().flat_map(|kind| kind.keys().split(", "));
        assert!(keys.into_iter().all(|key| KEYS.contains(&key)));
    }

    #[test]
    fn errors_name_the_mistake() {
        let rule = |keys: &str| format!("[[rule]]\nname = \"r\"\n{keys}");
        for (text, named) in [
            ("[[rules]]".to_owned(), "unknown field `rules`, expected `rule` or `webhook`"),
            (
                "[[rule]]\nkind = \"lead_hot\"".to_owned(),
                "rule 1: name is missing: allowed are 1 to 64 characters",
            ),
            (
                rule(""),
                "rule \"r\": kind is missing: allowed are grade_fell, probability_rose, value_at_risk",
            ),
            (rule("kind = \"sad\""), "rule \"r\": kind = \"sad\": allowed are grade_fell, probability_rose"),
            (
                rule("kind = \"lead_hot\"\nhours = 3"),
                "rule \"r\": hours = 3 with the kind lead_hot: allowed are name, kind",
            ),
            (
                rule("kind = \"lead_hot\"\nhour = 3"),
                "rule \"r\": unknown field `hour` with the kind lead_hot: allowed are name, kind",
            ),
            (
                rule("kinds = \"visit\"\ndays = 3\nkind = \"kind_silent\""),
                "rule \"r\": unknown field `kinds` with the kind kind_silent: allowed are name, kind, interaction_kind, days",
            ),
            (rule("hour = 3"), "rule \"r\": kind is missing: allowed are grade_fell"),
            (
                "[rule]\nname = \"r\"\nkind = \"lead_hot\"".to_owned(),
                "rule is a table; allowed are lists of tables, such as [[rule]] with the keys of an entry below",
            ),
            (
                "[[webhook]]\nurl = \"https://a\"".to_owned(),
                "webhook is a list; allowed are tables, such as [webhook] with its keys below",
            ),
            ("[[rule]]\nname = \"\0\"".to_owned(), "line 2 has a NUL character (U+0000)"),
            (
                rule("kind = \"grade_fell\"\nabc = [\"\"]"),
                "rule \"r\": abc = [\"\"]: allowed are lists of \"A\", \"B\", \"C\" and \"none\"",
            ),
            (
                rule("kind = \"grade_fell\"\nabc = \"A\""),
                "rule \"r\": abc = \"A\": allowed are lists of \"A\"",
            ),
            (
                rule("kind = \"probability_rose\""),
                "rule \"r\": by is missing: allowed are numbers above 0 and below 1",
            ),
            (rule("kind = \"probability_rose\"\nby = 0"), "by = 0: allowed are numbers above 0 and below 1"),
            (
                rule("kind = \"probability_rose\"\nby = 1.0"),
                "by = 1.0: allowed are numbers above 0 and below 1",
            ),
            (rule("kind = \"probability_rose\"\nby = nan"), "by = nan"),
            (
                rule("kind = \"value_at_risk\"\nabove_minor = -1"),
                "rule \"r\": above_minor = -1: allowed are whole numbers of minor units from 0 to",
            ),
            (
                rule("kind = \"value_at_risk\"\nabove_minor = \"\""),
                "rule \"r\": above_minor = \"\": allowed are whole numbers of",
            ),
            (
                rule("kind = \"complaint_open\"\nhours = -1"),
                "rule \"r\": hours = -1: allowed are 1 to 8760 hours",
            ),
            (rule("kind = \"complaint_open\"\nhours = 1.5"), "hours = 1.5: allowed are 1 to 8760 hours"),
            (
                rule("kind = \"model_drifted\"\npsi = 0.0001"),
                "rule \"r\": psi = 0.0001: allowed are 0.01 to 10; what is less is chance",
            ),
            (
                rule("kind = \"model_drifted\"\ntarget = \"sales\""),
                "rule \"r\": target = \"sales\": allowed are \"lead\" and \"churn\"",
            ),
            (
                rule("kind = \"not_scored\"\ndays = 99999999999"),
                "rule \"r\": days = 99999999999: allowed are",
            ),
            (
                rule("kind = \"kind_silent\"\ndays = 1"),
                "rule \"r\": interaction_kind is missing: allowed are",
            ),
            (rule("kind = \"kind_silent\"\ndays = 1\ninteraction_kind = \"\""), "interaction_kind = \"\""),
            (
                format!("{}\n[[rule]]\nname = \"\"\nkind = \"lead_hot\"", rule("kind = \"lead_hot\"")),
                "rule 2: name = \"\": allowed are 1 to 64 characters",
            ),
            (
                "[[rule]]\nname = 5\nkind = \"lead_hot\"".to_owned(),
                "rule 1: name = 5: allowed are 1 to 64 characters",
            ),
            (
                format!("{0}\n{0}", rule("kind = \"lead_hot\"")),
                "rule 2: name = \"r\": allowed are names that no rule before it has",
            ),
            (rule("kind = \"lead_hot\"\n").repeat(101), "rule = 101: allowed are up to 100 rules"),
            ("webhook = []".to_owned(), "expected"),
            (
                "webhook = \"https://a\"".to_owned(),
                "webhook is \"https://a\"; allowed are tables, such as [webhook] with its keys below",
            ),
            ("rule = 5".to_owned(), "rule is 5; allowed are tables, such as [[rule]] with its keys below"),
            (
                "webhook = [\"https://a\", \"s\", \"c\", 5]".to_owned(),
                "webhook is a list; allowed are tables",
            ),
            (
                "[webhook]\nurl = \"https://a\"\nsecret_file = \"s\"\ntimeout_seconds = -1".to_owned(),
                "webhook.timeout_seconds = -1: allowed are 1 to 60 seconds",
            ),
            ("[webhook]\nurl = \"https://a\"".to_owned(), "missing field `secret_file`"),
            ("[webhook]\nurl = \"https://a\"\nsecret = \"x\"".to_owned(), "unknown field `secret`"),
            (
                "[webhook]\nurl = \"https://a\"\nsecret_file = \"s\"\ntimeout_seconds = 61".to_owned(),
                "webhook.timeout_seconds = 61",
            ),
        ] {
            let message = AlertRules::parse(&text).unwrap_err().to_string();
            assert!(message.contains(named), "{text} -> {message}");
        }
    }
}
