//! The rules as a person writes them in TOML. An unknown key, a key that a kind does not have, and a value out of its range
//! are errors that name the rule and say what is allowed.

use std::{fmt, ops::RangeInclusive};

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

/// The whole file. Each rule is read by itself, so that a message can name it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    rule: Vec<Table>,
    webhook: Option<WebhookSpec>,
}

/// A `[[rule]]` table, whose kind decides which keys it may have. Numbers are checked with their ranges.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: String,
    kind: AlertKind,
    abc: Option<Vec<String>>,
    by: Option<Value>,
    above_minor: Option<Value>,
    hours: Option<Value>,
    days: Option<Value>,
    psi: Option<Value>,
    target: Option<Target>,
    interaction_kind: Option<String>,
}

/// What every rule has.
#[derive(Deserialize)]
struct RuleHead {
    #[serde(rename = "name")]
    _name: String,
    kind: AlertKind,
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
    /// Reads a rule. Its kind is read first: it says which keys there are, of which serde would name those of all kinds.
    fn read(table: Table) -> Result<Self, SpecError> {
        let RuleHead { kind, .. } = table.clone().try_into()?;
        let has_key = |kind: AlertKind, key: &str| kind.keys().split(", ").any(|one| one == key);
        match table.keys().find(|key| !AlertKind::ALL.into_iter().any(|kind| has_key(kind, key))) {
            None => Ok(table.try_into()?),
            Some(key) => {
                Err(SpecError::unknown_key(key, format!("with the kind {}", kind.name()), kind.keys()))
            }
        }
    }

    fn checked(self) -> Result<AlertRule, SpecError> {
        let allowed = "1 to 64 characters, none of them a control character";
        check(is_name(&self.name), "name", format!("{:?}", self.name), allowed)?;
        self.check_keys()?;
        let target = self.target;
        let condition = match self.kind {
            AlertKind::GradeFell => Condition::GradeFell { abc: self.abc()? },
            AlertKind::ProbabilityRose => Condition::ProbabilityRose { by: self.by()?, abc: self.abc()? },
            AlertKind::ValueAtRisk => {
                let above_minor = whole(
                    self.above_minor.as_ref(),
                    "above_minor",
                    MINOR_UNITS,
                    "whole numbers of minor units from 0 to 10^15",
                )?;
                Condition::ValueAtRisk { above_minor, abc: self.abc()? }
            }
            AlertKind::ComplaintOpen => Condition::ComplaintOpen {
                hours: small(self.hours.as_ref(), "hours", HOURS, "1 to 8760 hours")?,
            },
            AlertKind::LeadHot => Condition::LeadHot,
            AlertKind::ModelDrifted => Condition::ModelDrifted { psi: self.psi()?, target },
            AlertKind::ModelWorse => Condition::ModelWorse { target },
            AlertKind::ModelRefused => Condition::ModelRefused { target },
            AlertKind::NotScored => Condition::NotScored { days: self.days()?, target },
            AlertKind::KindSilent => {
                Condition::KindSilent { days: self.days()?, interaction_kind: self.interaction_kind()? }
            }
        };
        Ok(AlertRule { name: self.name, condition })
    }

    /// Refuses the first key that rules of this kind do not have.
    fn check_keys(&self) -> Result<(), SpecError> {
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        let given = [
            ("abc", self.abc.as_ref().map(|abc| format!("{abc:?}"))),
            ("by", text(&self.by)),
            ("above_minor", text(&self.above_minor)),
            ("hours", text(&self.hours)),
            ("days", text(&self.days)),
            ("psi", text(&self.psi)),
            ("target", self.target.map(|target| format!("{:?}", target.name()))),
            ("interaction_kind", self.interaction_kind.as_ref().map(|kind| format!("{kind:?}"))),
        ];
        for (key, value) in given.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            let is_fine = self.kind.keys().split(", ").any(|one| one == key);
            check(is_fine, key, format!("{value} with the kind {}", self.kind.name()), self.kind.keys())?;
        }
        Ok(())
    }

    fn abc(&self) -> Result<Vec<AbcClass>, SpecError> {
        let class = |name: &String| {
            let found = AbcClass::ALL.into_iter().find(|class| class.name() == name);
            need(found, Some(format!("{name:?}")), "abc", r#""A", "B", "C" and "none""#)
        };
        self.abc.iter().flatten().map(class).collect()
    }

    fn by(&self) -> Result<f64, SpecError> {
        let by = self.by.as_ref().and_then(number).filter(|by| *by > 0.0 && *by < 1.0);
        need(by, self.by.as_ref(), "by", "numbers above 0 and below 1")
    }

    fn days(&self) -> Result<u32, SpecError> {
        small(self.days.as_ref(), "days", DAYS, "1 to 3650 days")
    }

    fn psi(&self) -> Result<f64, SpecError> {
        let Some(given) = &self.psi else { return Ok(LARGE) };
        let psi = number(given).filter(|psi| (LEAST_PSI..=10.0).contains(psi));
        need(psi, Some(given), "psi", "0.01 to 10; what is less is chance")
    }

    fn interaction_kind(&self) -> Result<String, SpecError> {
        let kind = self.interaction_kind.clone().filter(|kind| is_name(kind));
        let given = self.interaction_kind.as_ref().map(|kind| format!("{kind:?}"));
        need(kind, given, "interaction_kind", "kinds of interaction, 1 to 64 characters")
    }
}

/// A number with or without a decimal point.
fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|number| number as f64))
}

/// A whole number within its range.
fn whole(
    given: Option<&Value>,
    key: &'static str,
    range: RangeInclusive<i64>,
    allowed: &'static str,
) -> Result<i64, SpecError> {
    need(given.and_then(Value::as_integer).filter(|number| range.contains(number)), given, key, allowed)
}

/// A whole number within a range from 0 to at most 2³² − 1.
fn small(
    given: Option<&Value>,
    key: &'static str,
    range: RangeInclusive<i64>,
    allowed: &'static str,
) -> Result<u32, SpecError> {
    Ok(u32::try_from(whole(given, key, range, allowed)?).unwrap_or(u32::MAX))
}

/// The value of a key that a rule must have; the error repeats what was given.
fn need<T>(
    value: Option<T>,
    given: Option<impl fmt::Display>,
    key: &'static str,
    allowed: &'static str,
) -> Result<T, SpecError> {
    value.ok_or_else(|| match given {
        None => SpecError::Missing { key, allowed },
        Some(given) => SpecError::value(key, given, allowed),
    })
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
    }

    #[test]
    fn errors_name_the_mistake() {
        let rule = |keys: &str| format!("[[rule]]\nname = \"r\"\n{keys}");
        for (text, named) in [
            ("[[rules]]".to_owned(), "unknown field `rules`, expected `rule` or `webhook`"),
            ("[[rule]]\nkind = \"lead_hot\"".to_owned(), "rule 1: missing field `name`"),
            (rule(""), "rule \"r\": missing field `kind`"),
            (rule("kind = \"sad\""), "rule \"r\": unknown variant `sad`, expected one of `grade_fell`"),
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
            (rule("hour = 3"), "rule \"r\": missing field `kind`"),
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
                "rule \"r\": abc = \"\": allowed are \"A\", \"B\", \"C\" and \"none\"",
            ),
            (rule("kind = \"grade_fell\"\nabc = \"A\""), "rule \"r\": invalid type: string \"A\""),
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
            (rule("kind = \"model_drifted\"\ntarget = \"sales\""), "rule \"r\": unknown variant `sales`"),
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
            ("[[rule]]\nname = 5\nkind = \"lead_hot\"".to_owned(), "rule 1: invalid type: integer `5`"),
            (
                format!("{0}\n{0}", rule("kind = \"lead_hot\"")),
                "rule 2: name = \"r\": allowed are names that no rule before it has",
            ),
            (rule("kind = \"lead_hot\"\n").repeat(101), "rule = 101: allowed are up to 100 rules"),
            ("webhook = []".to_owned(), "expected"),
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
