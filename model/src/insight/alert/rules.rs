//! The rules as a person writes them in TOML. An unknown key, a key that a kind does not have, and a value out of its range
//! are errors that say what is allowed.

use std::{collections::HashSet, fmt};

use serde::Deserialize;

use crate::{
    evaluation::drift::LARGE,
    insight::AbcClass,
    spec::{SpecError, Target},
};

/// The most rules of a file.
const MOST_RULES: usize = 100;
/// The most days and hours of a rule.
const MOST_DAYS: u32 = 3_650;
const MOST_HOURS: u32 = 8_760;

/// The whole file.
///
/// ```
/// use tally_model::insight::alert::AlertRules;
///
/// let rules = AlertRules::parse(
///     "[[rule]]\nname = \"big ones\"\nkind = \"grade_fell\"\nabc = [\"A\"]\n[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"\nhours = 48",
/// )?;
/// assert_eq!(rules.rules.len(), 2);
///
/// let error = AlertRules::parse("[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"").unwrap_err();
/// assert_eq!(error.to_string(), "rule.hours = nothing: allowed are 1 to 8760 hours");
/// # Ok::<(), tally_model::spec::SpecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertRules {
    /// The rules, up to 100 with different names.
    pub rules: Vec<AlertRule>,
    /// Where alerts are sent; None sends none.
    pub webhook: Option<WebhookSpec>,
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRule {
    /// What alerts call it, 1 to 64 characters.
    pub name: String,
    /// When it alerts.
    pub condition: Condition,
}

/// When a rule alerts. An empty list of ABC classes is all, and no target is both.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// The churn grade of a customer fell to D since the last pass.
    GradeFell {
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// The probability that a customer leaves rose since the last pass.
    ProbabilityRose {
        /// By more than this, 0 to 1.
        by: f64,
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// P(churn) · CLV of a customer rose above a limit since the last pass.
    ValueAtRisk {
        /// The limit in minor units.
        above_minor: i64,
        /// Only customers of these classes.
        abc: Vec<AbcClass>,
    },
    /// A complaint is open for longer than this.
    ComplaintOpen {
        /// The hours, 1 to 8,760.
        hours: u32,
    },
    /// A lead became grade A since the last pass.
    LeadHot,
    /// The score of a champion has drifted from its training.
    ModelDrifted {
        /// A PSI of this and more, above 0 and up to 10.
        psi: f64,
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// A champion ranks worse than its card says.
    ModelWorse {
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// The gate refused to promote a model.
    ModelRefused {
        /// Only models of this target.
        target: Option<Target>,
    },
    /// A champion has not scored a population for longer than this.
    NotScored {
        /// The days, 1 to 3,650.
        days: u32,
        /// Only the model of this target.
        target: Option<Target>,
    },
    /// The last interaction of a kind happened longer ago than this.
    KindSilent {
        /// The kind.
        interaction_kind: String,
        /// The days, 1 to 3,650.
        days: u32,
    },
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// [`Condition::GradeFell`].
    GradeFell,
    /// [`Condition::ProbabilityRose`].
    ProbabilityRose,
    /// [`Condition::ValueAtRisk`].
    ValueAtRisk,
    /// [`Condition::ComplaintOpen`].
    ComplaintOpen,
    /// [`Condition::LeadHot`].
    LeadHot,
    /// [`Condition::ModelDrifted`].
    ModelDrifted,
    /// [`Condition::ModelWorse`].
    ModelWorse,
    /// [`Condition::ModelRefused`].
    ModelRefused,
    /// [`Condition::NotScored`].
    NotScored,
    /// [`Condition::KindSilent`].
    KindSilent,
}

impl AlertKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::GradeFell,
        Self::ProbabilityRose,
        Self::ValueAtRisk,
        Self::ComplaintOpen,
        Self::LeadHot,
        Self::ModelDrifted,
        Self::ModelWorse,
        Self::ModelRefused,
        Self::NotScored,
        Self::KindSilent,
    ];

    /// The name in rules, tables and replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GradeFell => "grade_fell",
            Self::ProbabilityRose => "probability_rose",
            Self::ValueAtRisk => "value_at_risk",
            Self::ComplaintOpen => "complaint_open",
            Self::LeadHot => "lead_hot",
            Self::ModelDrifted => "model_drifted",
            Self::ModelWorse => "model_worse",
            Self::ModelRefused => "model_refused",
            Self::NotScored => "not_scored",
            Self::KindSilent => "kind_silent",
        }
    }

    /// The keys of a rule of this kind.
    const fn keys(self) -> &'static str {
        match self {
            Self::GradeFell => "name, kind, abc",
            Self::ProbabilityRose => "name, kind, by, abc",
            Self::ValueAtRisk => "name, kind, above_minor, abc",
            Self::ComplaintOpen => "name, kind, hours",
            Self::LeadHot => "name, kind",
            Self::ModelDrifted => "name, kind, psi, target",
            Self::ModelWorse | Self::ModelRefused => "name, kind, target",
            Self::NotScored => "name, kind, days, target",
            Self::KindSilent => "name, kind, interaction_kind, days",
        }
    }
}

/// The `[webhook]` table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSpec {
    /// Where alerts are sent: an `https://` URL, or an `http://` URL of the machine itself.
    pub url: String,
    /// A file with the secret (`whsec_…`) that signs them; several secrets, one a line, all sign.
    pub secret_file: String,
    /// A PEM file with the certificates that sign the receiver's; None for the public authorities.
    pub ca_file: Option<String>,
    /// How long a delivery may take, 1 to 60 seconds.
    #[serde(default = "ten")]
    pub timeout_seconds: u32,
}

const fn ten() -> u32 {
    10
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    #[serde(default)]
    rule: Vec<RuleTable>,
    webhook: Option<WebhookSpec>,
}

/// A `[[rule]]` table, whose kind decides which keys it may have.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    name: String,
    kind: AlertKind,
    abc: Option<Vec<String>>,
    by: Option<f64>,
    above_minor: Option<i64>,
    hours: Option<u32>,
    days: Option<u32>,
    psi: Option<f64>,
    target: Option<Target>,
    interaction_kind: Option<String>,
}

impl AlertRules {
    /// Parses and checks a file.
    ///
    /// # Errors
    /// [`SpecError`] names the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let RulesFile { rule, webhook } = toml::from_str(text)?;
        let rules = rule.into_iter().map(RuleTable::checked).collect::<Result<Vec<_>, _>>()?;
        let names: HashSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        let fine = names.len() == rules.len() && names.len() <= MOST_RULES;
        check(fine, "rule", names.len(), "up to 100 rules with different names")?;
        if let Some(webhook) = &webhook {
            let fine = (1..=60).contains(&webhook.timeout_seconds);
            check(fine, "webhook.timeout_seconds", webhook.timeout_seconds, "1 to 60 seconds")?;
        }
        Ok(Self { rules, webhook })
    }

    /// Whether a rule looks at the customers of a pass.
    #[must_use]
    pub fn look_at_passes(&self) -> bool {
        let kinds =
            [AlertKind::GradeFell, AlertKind::ProbabilityRose, AlertKind::ValueAtRisk, AlertKind::LeadHot];
        self.rules.iter().any(|rule| kinds.contains(&rule.condition.kind()))
    }
}

impl Condition {
    /// What the rule is about.
    #[must_use]
    pub const fn kind(&self) -> AlertKind {
        match self {
            Self::GradeFell { .. } => AlertKind::GradeFell,
            Self::ProbabilityRose { .. } => AlertKind::ProbabilityRose,
            Self::ValueAtRisk { .. } => AlertKind::ValueAtRisk,
            Self::ComplaintOpen { .. } => AlertKind::ComplaintOpen,
            Self::LeadHot => AlertKind::LeadHot,
            Self::ModelDrifted { .. } => AlertKind::ModelDrifted,
            Self::ModelWorse { .. } => AlertKind::ModelWorse,
            Self::ModelRefused { .. } => AlertKind::ModelRefused,
            Self::NotScored { .. } => AlertKind::NotScored,
            Self::KindSilent { .. } => AlertKind::KindSilent,
        }
    }
}

impl RuleTable {
    fn checked(self) -> Result<AlertRule, SpecError> {
        let fine = is_name(&self.name);
        check(fine, "rule.name", &self.name, "1 to 64 characters without control characters")?;
        self.check_keys()?;
        let target = self.target;
        let condition = match self.kind {
            AlertKind::GradeFell => Condition::GradeFell { abc: self.abc()? },
            AlertKind::ProbabilityRose => Condition::ProbabilityRose { by: self.by()?, abc: self.abc()? },
            AlertKind::ValueAtRisk => {
                Condition::ValueAtRisk { above_minor: self.above_minor()?, abc: self.abc()? }
            }
            AlertKind::ComplaintOpen => {
                let hours = self.hours.filter(|hours| (1..=MOST_HOURS).contains(hours));
                Condition::ComplaintOpen { hours: need(hours, self.hours, "rule.hours", "1 to 8760 hours")? }
            }
            AlertKind::LeadHot => Condition::LeadHot,
            AlertKind::ModelDrifted => Condition::ModelDrifted { psi: self.psi()?, target },
            AlertKind::ModelWorse => Condition::ModelWorse { target },
            AlertKind::ModelRefused => Condition::ModelRefused { target },
            AlertKind::NotScored => Condition::NotScored { days: self.days()?, target },
            AlertKind::KindSilent => {
                let (days, given) = (self.days()?, self.interaction_kind);
                let kind = given.clone().filter(|kind| is_name(kind));
                let interaction_kind =
                    need(kind, given, "rule.interaction_kind", "kinds of interaction, 1 to 64 characters")?;
                Condition::KindSilent { interaction_kind, days }
            }
        };
        Ok(AlertRule { name: self.name, condition })
    }

    /// Refuses the first key that rules of this kind do not have.
    fn check_keys(&self) -> Result<(), SpecError> {
        let given = [
            ("rule.abc", self.abc.is_some()),
            ("rule.by", self.by.is_some()),
            ("rule.above_minor", self.above_minor.is_some()),
            ("rule.hours", self.hours.is_some()),
            ("rule.days", self.days.is_some()),
            ("rule.psi", self.psi.is_some()),
            ("rule.target", self.target.is_some()),
            ("rule.interaction_kind", self.interaction_kind.is_some()),
        ];
        let has = |key: &str| self.kind.keys().split(", ").any(|one| key.strip_prefix("rule.") == Some(one));
        match given.into_iter().find(|(key, is_given)| *is_given && !has(key)) {
            None => Ok(()),
            Some((key, _)) => {
                let value = format!("in the rule `{}` of the kind {}", self.name, self.kind.name());
                Err(SpecError::Value { key, value, allowed: self.kind.keys() })
            }
        }
    }

    fn abc(&self) -> Result<Vec<AbcClass>, SpecError> {
        let class = |name: &String| {
            let found = AbcClass::ALL.into_iter().find(|class| class.name() == name);
            need(found, Some(name), "rule.abc", "A, B, C and none")
        };
        self.abc.iter().flatten().map(class).collect()
    }

    fn by(&self) -> Result<f64, SpecError> {
        let by = self.by.filter(|by| (0.0..1.0).contains(by));
        need(by, self.by, "rule.by", "0 and more, below 1")
    }

    fn above_minor(&self) -> Result<i64, SpecError> {
        let most = 1_000_000_000_000_000;
        let above = self.above_minor.filter(|above| (0..=most).contains(above));
        need(above, self.above_minor, "rule.above_minor", "0 to 10^15 minor units")
    }

    fn days(&self) -> Result<u32, SpecError> {
        let days = self.days.filter(|days| (1..=MOST_DAYS).contains(days));
        need(days, self.days, "rule.days", "1 to 3650 days")
    }

    fn psi(&self) -> Result<f64, SpecError> {
        let psi = self.psi.unwrap_or(LARGE);
        check(psi > 0.0 && psi <= 10.0, "rule.psi", psi, "above 0 and up to 10")?;
        Ok(psi)
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control)
}

/// The value of a key that a rule must have; the error repeats what was given.
fn need<T>(
    value: Option<T>,
    given: Option<impl fmt::Display>,
    key: &'static str,
    allowed: &'static str,
) -> Result<T, SpecError> {
    value.ok_or_else(|| {
        let value = given.map_or_else(|| "nothing".to_owned(), |given| given.to_string());
        SpecError::Value { key, value, allowed }
    })
}

fn check(
    fine: bool,
    key: &'static str,
    value: impl fmt::Display,
    allowed: &'static str,
) -> Result<(), SpecError> {
    if fine { Ok(()) } else { Err(SpecError::Value { key, value: value.to_string(), allowed }) }
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
            ("[[rule]]\nkind = \"lead_hot\"".to_owned(), "missing field `name`"),
            (rule(""), "missing field `kind`"),
            (rule("kind = \"sad\""), "unknown variant `sad`, expected one of `grade_fell`"),
            (rule("kind = \"lead_hot\"\nhour = 3"), "unknown field `hour`"),
            (
                rule("kind = \"lead_hot\"\nhours = 3"),
                "rule.hours = in the rule `r` of the kind lead_hot: allowed are name, kind",
            ),
            (rule("kind = \"grade_fell\"\nabc = [\"D\"]"), "rule.abc = D: allowed are A, B, C and none"),
            (rule("kind = \"probability_rose\""), "rule.by = nothing"),
            (rule("kind = \"probability_rose\"\nby = 1.0"), "rule.by = 1:"),
            (rule("kind = \"probability_rose\"\nby = nan"), "rule.by = NaN"),
            (rule("kind = \"value_at_risk\"\nabove_minor = -1"), "rule.above_minor = -1"),
            (rule("kind = \"complaint_open\"\nhours = 0"), "rule.hours = 0: allowed are 1 to 8760 hours"),
            (rule("kind = \"model_drifted\"\npsi = 0.0"), "rule.psi = 0"),
            (rule("kind = \"model_drifted\"\ntarget = \"sales\""), "unknown variant `sales`"),
            (rule("kind = \"not_scored\"\ndays = 3651"), "rule.days = 3651"),
            (rule("kind = \"kind_silent\"\ndays = 1"), "rule.interaction_kind = nothing"),
            ("[[rule]]\nname = \"\"\nkind = \"lead_hot\"".to_owned(), "rule.name"),
            (
                format!("{0}\n{0}", rule("kind = \"lead_hot\"")),
                "rule = 1: allowed are up to 100 rules with different names",
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
