//! The settings of insight, as a person writes them in TOML. Every key is optional; an unknown key or a value out of its
//! range is an error that says what is allowed.

use std::{collections::HashSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    AffinitySpec, RfmSpec, ValueSpec,
    worklist::{PlaybookEntry, WorklistSpec, default_playbook, validate_playbook},
};
use crate::spec::{SpecError, parse};

/// The whole file.
///
/// ```
/// use tally_model::insight::InsightSpec;
///
/// let spec = InsightSpec::parse("window_days = 180\n[life_cycle]\ntypical_interval_days = 30")?;
/// assert_eq!((spec.window_days, spec.sla_hours), (180, 24));
///
/// let error = InsightSpec::parse("window_days = 0").unwrap_err();
/// assert_eq!(error.to_string(), "window_days = 0: allowed are 1 to 3650 days");
/// # Ok::<(), tally_model::spec::SpecError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct InsightSpec {
    /// The length in days of the window of money, orders, ABC and RFM, 1 to 3,650.
    pub window_days: u32,
    /// The kinds of interaction that are contacts with a customer, up to 50.
    pub contact_kinds: Vec<String>,
    /// The hours within which a complaint is to be answered, 1 to 8,760.
    pub sla_hours: u32,
    /// The ABC classes.
    pub abc: AbcSpec,
    /// The life cycle.
    pub life_cycle: LifeCycleSpec,
    /// The RFM segments.
    pub rfm: RfmSpec,
    /// The value model.
    pub value: ValueSpec,
    /// The affinities.
    pub affinity: AffinitySpec,
    /// The worklist.
    pub worklist: WorklistSpec,
    /// Which action a customer gets, up to 100 entries.
    pub playbook: Vec<PlaybookEntry>,
}

/// The `[abc]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct AbcSpec {
    /// What the classes go by.
    pub by: AbcBy,
    /// The share of the total that class A brings, 0.000001 or more and below `b_share`.
    pub a_share: f64,
    /// The share of the total that the classes A and B bring, at most 1.
    pub b_share: f64,
}

/// What the ABC classes go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AbcBy {
    /// Net revenue of the window.
    #[default]
    Net,
    /// Net revenue less cost of the window.
    Profit,
}

/// The `[life_cycle]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LifeCycleSpec {
    /// The days between two purchase days of a typical customer.
    pub typical_interval_days: TypicalInterval,
    /// The expected intervals after which a customer is declining, 1 to 100.
    pub declining_after: f64,
    /// The expected intervals after which a customer is lost, `declining_after` to 100.
    pub lost_after: f64,
    /// The purchase days from which on a customer is mature, 2 to 1,000.
    pub mature_from: u32,
}

/// The days between two purchase days of a typical customer: taken from the customers, or given, 1 to 3,650.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum TypicalInterval {
    /// The median of the customers.
    #[default]
    Auto,
    /// This many days.
    Days(f64),
}

impl Default for InsightSpec {
    fn default() -> Self {
        let contact_kinds = ["call", "email", "meeting", "message", "letter"];
        Self {
            window_days: 365,
            contact_kinds: contact_kinds.map(str::to_owned).to_vec(),
            sla_hours: 24,
            abc: AbcSpec::default(),
            life_cycle: LifeCycleSpec::default(),
            rfm: RfmSpec::default(),
            value: ValueSpec::default(),
            affinity: AffinitySpec::default(),
            worklist: WorklistSpec::default(),
            playbook: default_playbook(),
        }
    }
}

impl Default for AbcSpec {
    fn default() -> Self {
        Self { by: AbcBy::Net, a_share: 0.80, b_share: 0.95 }
    }
}

impl Default for LifeCycleSpec {
    fn default() -> Self {
        Self {
            typical_interval_days: TypicalInterval::Auto,
            declining_after: 1.5,
            lost_after: 3.0,
            mature_from: 5,
        }
    }
}

impl InsightSpec {
    /// Whether the worklist is ranked by expected gain: when the day has a capacity or an action costs something.
    #[must_use]
    pub fn ranks_by_gain(&self) -> bool {
        self.worklist.capacity.is_some() || self.playbook.iter().any(|entry| entry.cost_minor > 0)
    }

    /// Whether customers have the same class, stage and value by both.
    #[must_use]
    pub fn values_as(&self, other: &Self) -> bool {
        let relevant =
            |spec: &Self| (spec.window_days, spec.abc.clone(), spec.life_cycle.clone(), spec.value.clone());
        relevant(self) == relevant(other)
    }

    /// Parses and validates a file.
    ///
    /// # Errors
    /// [`SpecError`] names the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        parse(text, |spec: Self| spec.validate().map(|()| spec))
    }

    fn validate(&self) -> Result<(), SpecError> {
        let days = "1 to 3650 days";
        check((1..=3_650).contains(&self.window_days), "window_days", self.window_days, days)?;
        let kinds = &self.contact_kinds;
        let distinct: HashSet<&String> = kinds.iter().collect();
        let is_name = |name: &String| is_name(name);
        let fine = kinds.len() <= 50 && distinct.len() == kinds.len() && kinds.iter().all(is_name);
        let allowed = "up to 50 different kinds of 1 to 64 characters, none of them a control character, no blank at an end";
        check(fine, "contact_kinds", format!("{kinds:?}"), allowed)?;
        check((1..=8_760).contains(&self.sla_hours), "sla_hours", self.sla_hours, "1 to 8760 hours")?;
        self.abc.validate()?;
        self.life_cycle.validate()?;
        self.rfm.validate()?;
        self.value.validate()?;
        self.affinity.validate()?;
        self.worklist.validate()?;
        validate_playbook(&self.playbook)
    }
}

impl AbcSpec {
    fn validate(&self) -> Result<(), SpecError> {
        // Shares are exact to a millionth.
        let fine = self.a_share >= 1e-6 && self.a_share < self.b_share;
        let given = format!("{} with b_share = {}", self.a_share, self.b_share);
        check(fine, "abc.a_share", given, "shares from 0.000001 on, and below b_share")?;
        check(self.b_share <= 1.0, "abc.b_share", self.b_share, "shares above a_share and up to 1")
    }
}

impl LifeCycleSpec {
    fn validate(&self) -> Result<(), SpecError> {
        if let TypicalInterval::Days(days) = self.typical_interval_days {
            let allowed = "\"auto\" and 1 to 3650 days";
            check((1.0..=3_650.0).contains(&days), "life_cycle.typical_interval_days", days, allowed)?;
        }
        let declining = self.declining_after;
        check((1.0..=100.0).contains(&declining), "life_cycle.declining_after", declining, "1 to 100")?;
        let lost = self.lost_after;
        let given = format!("{lost} with declining_after = {declining}");
        check((declining..=100.0).contains(&lost), "life_cycle.lost_after", given, "declining_after to 100")?;
        let mature = self.mature_from;
        check((2..=1_000).contains(&mature), "life_cycle.mature_from", mature, "2 to 1000 purchase days")
    }
}

/// Whether a text can be the name of a kind or a segment. Those in requests and in the data have no blanks at the ends, so
/// one that has some would never be found.
pub(super) fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name
}

/// The segment of those who are in no other one.
pub(super) const OTHER: &str = "other";
/// The segment of those without a purchase in the window.
pub(super) const NONE: &str = "none";

pub(super) fn check(
    fine: bool,
    key: &'static str,
    value: impl fmt::Display,
    allowed: &'static str,
) -> Result<(), SpecError> {
    if fine { Ok(()) } else { Err(SpecError::value(key, value, allowed)) }
}

/// The settings as TOML, defaults included.
impl fmt::Display for InsightSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for TypicalInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Days(days) => serializer.serialize_f64(*days),
        }
    }
}

impl<'de> Deserialize<'de> for TypicalInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = TypicalInterval;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"auto\" or a number of days")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<TypicalInterval, E> {
                let unexpected = serde::de::Unexpected::Str(text);
                if text == "auto" {
                    Ok(TypicalInterval::Auto)
                } else {
                    Err(E::invalid_value(unexpected, &self))
                }
            }

            fn visit_f64<E>(self, days: f64) -> Result<TypicalInterval, E> {
                Ok(TypicalInterval::Days(days))
            }

            fn visit_i64<E>(self, days: i64) -> Result<TypicalInterval, E> {
                Ok(TypicalInterval::Days(days as f64))
            }

            fn visit_u64<E>(self, days: u64) -> Result<TypicalInterval, E> {
                Ok(TypicalInterval::Days(days as f64))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod messages;

#[cfg(test)]
mod tests {
    use super::*;

    /// The file that docs/metrics.md prints.
    const DOCUMENTED: &str = r#"
window_days = 365
contact_kinds = ["call", "email", "meeting", "message", "letter"]
sla_hours = 24
[abc]
by = "net"
a_share = 0.80
b_share = 0.95
[life_cycle]
typical_interval_days = "auto"
declining_after = 1.5
lost_after = 3.0
mature_from = 5
[value]
horizon_days = 365
discount_rate = 0.10
margin_rate = "auto"
[affinity]
property = "category"
[worklist]
holdout_share = 0.10
holdout_salt = "1"
outcome_days = { buyers = 90, leads = 30 }
neglect_days = 90
care_dates = ["birth_date"]
care_days = 7
[[playbook]]
abc = "A"
action = "personal call"
[[playbook]]
cause = "open_complaint"
action = "solve complaint"
[[playbook]]
cause = "price"
action = "offer"
[[playbook]]
abc = "C"
action = "standard mail"
[[playbook]]
action = "personal mail"
"#;

    #[test]
    fn defaults_are_as_documented_and_survive_a_round_trip() {
        assert_eq!(InsightSpec::parse(DOCUMENTED).unwrap(), InsightSpec::default());
        assert_eq!(InsightSpec::parse("").unwrap(), InsightSpec::default());
        let text = serde_json::to_string(&InsightSpec::default()).unwrap();
        assert_eq!(serde_json::from_str::<InsightSpec>(&text).unwrap(), InsightSpec::default());
    }

    #[test]
    fn errors_name_the_mistake() {
        for (text, named) in [
            ("window = 3", "window"),
            ("window_days = 3651", "window_days = 3651: allowed are 1 to 3650 days"),
            ("contact_kinds = [\"a\", \"a\"]", "contact_kinds"),
            ("sla_hours = 0", "sla_hours = 0"),
            ("[abc]\nby = \"revenue\"", "revenue"),
            (
                "[abc]\na_share = 0.95",
                "abc.a_share = 0.95 with b_share = 0.95: allowed are shares from 0.000001 on",
            ),
            ("[abc]\nb_share = 0.5", "abc.a_share = 0.8 with b_share = 0.5: allowed are"),
            ("[abc]\na_share = 1e-7", "abc.a_share = 0.0000001"),
            ("contact_kinds = [\"a\\u0000b\"]", "contact_kinds"),
            ("[[rfm.segment]]\nname = \"a\\u0000b\"", "rfm.segment"),
            ("[abc]\na_share = nan", "abc.a_share = NaN"),
            ("[abc]\nb_share = 1.1", "abc.b_share = 1.1"),
            ("[life_cycle]\ntypical_interval_days = 0.5", "life_cycle.typical_interval_days = 0.5"),
            (
                "[life_cycle]\ntypical_interval_days = \"often\"",
                "life_cycle.typical_interval_days = \"often\": allowed are \"auto\" and 1 to 3650 days",
            ),
            ("[life_cycle]\ndeclining_after = 0.9", "life_cycle.declining_after = 0.9"),
            (
                "[life_cycle]\nlost_after = 1.4",
                "life_cycle.lost_after = 1.4 with declining_after = 1.5: allowed are",
            ),
            ("[life_cycle]\nmature_from = 1", "life_cycle.mature_from = 1"),
            ("[[rfm.segment]]\nname = \"none\"", "rfm.segment"),
            ("[[rfm.segment]]\nname = \"a\"\nr = [0, 5]", "rfm.segment 1: r = [0, 5]"),
            ("[value]\nhorizon_days = 0", "value.horizon_days = 0: allowed are 1 to 3650 days"),
            ("[value]\ndiscount_rate = -0.1", "value.discount_rate = -0.1"),
            ("[value]\nmargin_rate = 1.1", "value.margin_rate = 1.1"),
            (
                "[value]\nmargin_rate = \"high\"",
                "value.margin_rate = \"high\": allowed are \"auto\" and 0 to 1",
            ),
            ("[affinity]\nproperty = \"\"", "affinity.property = \"\""),
            ("[worklist]\nshare = 0.1", "share"),
            (
                "[worklist]\nholdout_share = 1.01",
                "worklist.holdout_share = 1.01: allowed are shares from 0 to 1",
            ),
            ("[worklist]\nholdout_share = nan", "worklist.holdout_share = NaN"),
            ("[worklist]\nholdout_salt = \"\"", "worklist.holdout_salt"),
            ("[worklist]\nholdout_salt = \"a\\nb\"", "worklist.holdout_salt"),
            ("[worklist]\noutcome_days = { buyers = 0 }", "worklist.outcome_days.buyers = 0"),
            ("[worklist]\noutcome_days = { leads = 3651 }", "worklist.outcome_days.leads = 3651"),
            ("[worklist]\nneglect_days = 0", "worklist.neglect_days = 0"),
            ("[worklist]\ncare_dates = [\"a\", \"a\"]", "worklist.care_dates"),
            ("[worklist]\ncare_days = 366", "worklist.care_days = 366"),
            ("[worklist]\ncapacity = 0", "worklist.capacity = 0"),
            ("[worklist]\ncapacity = 100001", "worklist.capacity = 100001"),
            ("[[playbook]]\naction = \"\"", "playbook entry 1: action = \"\""),
            ("[[playbook]]\ncause = \"weather\"\naction = \"call\"", "weather"),
            (
                "[[playbook]]\nabc = \"D\"\naction = \"call\"",
                "playbook entry 1: abc = \"D\": allowed are \"A\", \"B\", \"C\", \"none\", and \"\" for any class",
            ),
            ("[[playbook]]\naction = \"call\"\ncost_minor = -1", "playbook entry 1: cost_minor = -1"),
            (
                "[[playbook]]\nabc = \"A\"\naction = \"call\"\ncost_minor = 1\n[[playbook]]\naction = \"call\"",
                "playbook entry 2: cost_minor = 0, and 1 in entry 1 of the same action: allowed are the same costs in \
                 all entries of an action; without cost_minor they are 0",
            ),
            (
                "[[playbook]]\nabc = \"A\"\naction = \"call\"",
                "playbook = nothing for open_complaint and class B",
            ),
            ("playbook = []", "playbook = nothing for open_complaint and class A"),
        ] {
            let message = InsightSpec::parse(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text} -> {message}");
        }
    }
}
