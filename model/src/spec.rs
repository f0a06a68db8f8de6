//! The spec: what a model foretells and from which features, as a person writes it (TOML).
//!
//! Every key is optional; an unknown key or an absurd value is an error that says what is allowed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model foretells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A lead buys for the first time within the horizon.
    Lead,
    /// A customer leaves within the horizon.
    Churn,
}

impl Target {
    /// Both targets.
    pub const ALL: [Self; 2] = [Self::Lead, Self::Churn];

    /// The name in model versions, tables and commands: `lead` or `churn`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::Churn => "churn",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What counts as leaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChurnEvent {
    /// No purchase within the horizon; buyers are eligible.
    #[default]
    Inactivity,
    /// A `cancel` within the horizon; every customer without one so far is eligible.
    Cancel,
}

/// The `[churn]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChurnSpec {
    /// What counts as leaving.
    pub event: ChurnEvent,
    /// Days after `as_of` that decide, 1 to 3,650.
    pub horizon_days: u32,
    /// Distance of the training cutoffs in days, 1 to 3,650.
    pub cutoff_every_days: u32,
}

impl Default for ChurnSpec {
    fn default() -> Self {
        Self { event: ChurnEvent::Inactivity, horizon_days: 90, cutoff_every_days: 30 }
    }
}

/// The `[lead]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeadSpec {
    /// Days after `as_of` that decide, 1 to 3,650.
    pub horizon_days: u32,
    /// Ages of a lead, in days after its creation, at which snapshots stand: 1 to 20 rising values
    /// of 0 to 3,650.
    pub ages_days: Vec<u32>,
}

impl Default for LeadSpec {
    fn default() -> Self {
        Self { horizon_days: 30, ages_days: vec![0, 7, 30] }
    }
}

/// Either what the data suggests, or what a person lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WordOrList", into = "WordOrList")]
pub enum Choice {
    /// `"auto"`.
    #[default]
    Auto,
    /// A list of names.
    List(Vec<String>),
}

/// How a [`Choice`] stands in TOML.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WordOrList {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<WordOrList> for Choice {
    type Error = String;

    fn try_from(raw: WordOrList) -> Result<Self, String> {
        match raw {
            WordOrList::Word(word) if word == "auto" => Ok(Self::Auto),
            WordOrList::Word(word) => Err(format!("`{word}` is neither \"auto\" nor a list of names")),
            WordOrList::List(names) => Ok(Self::List(names)),
        }
    }
}

impl From<Choice> for WordOrList {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Auto => Self::Word("auto".into()),
            Choice::List(names) => Self::List(names),
        }
    }
}

/// The `[features]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FeaturesSpec {
    /// Lengths of the windows that are counted over, in days: up to 10 rising values of 1 to 3,650.
    pub windows_days: Vec<u32>,
    /// The kinds of interaction that get features: the commonest 12, or a list of up to 50.
    pub kinds: Choice,
    /// The numeric properties that get features, as `kind.property`: those that the census finds
    /// worth it (up to 12), or a list of up to 50.
    pub properties: Choice,
    /// The attributes that get features: all that occur (up to 200), or a list of up to 200.
    pub attributes: Choice,
}

impl Default for FeaturesSpec {
    fn default() -> Self {
        Self {
            windows_days: vec![7, 30, 90, 365],
            kinds: Choice::Auto,
            properties: Choice::Auto,
            attributes: Choice::Auto,
        }
    }
}

/// The kind and the property that `kind.property` names, split at the last dot; None when either is
/// no name.
#[must_use]
pub fn property_of(name: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| (1..=64).contains(&name.len());
    name.rsplit_once('.').filter(|(kind, property)| is_name(kind) && is_name(property))
}

/// The whole spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {
    /// How churn is defined and sampled.
    pub churn: ChurnSpec,
    /// How lead conversion is defined and sampled.
    pub lead: LeadSpec,
    /// What the models may look at.
    pub features: FeaturesSpec,
}

/// Why a spec is refused.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, an unknown key or a wrong type.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A value out of its range.
    #[error("{key} = {value}: allowed are {allowed}")]
    Value {
        /// The key, with its table.
        key: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
}

impl Spec {
    /// Reads and validates a spec.
    ///
    /// # Errors
    /// [`SpecError`] names the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let spec: Self = toml::from_str(text)?;
        spec.validate()?;
        Ok(spec)
    }

    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// [`SpecError::Value`] names the first key that is out of its range.
    pub fn validate(&self) -> Result<(), SpecError> {
        const DAYS: &str = "1 to 3650 days";
        let days = |days: u32| (1..=3650).contains(&days);
        let rising = |list: &[u32]| list.windows(2).all(|pair| pair[0] < pair[1]);
        let names = |choice: &Choice, most: usize, longest: usize| match choice {
            Choice::Auto => true,
            Choice::List(list) => {
                let mut sorted = list.clone();
                sorted.sort();
                sorted.dedup();
                sorted.len() == list.len()
                    && list.len() <= most
                    && list.iter().all(|name| (1..=longest).contains(&name.len()))
            }
        };
        let windows = &self.features.windows_days;
        let ages = &self.lead.ages_days;
        let checks: [(bool, &'static str, String, &'static str); 8] = [
            (days(self.churn.horizon_days), "churn.horizon_days", self.churn.horizon_days.to_string(), DAYS),
            (
                days(self.churn.cutoff_every_days),
                "churn.cutoff_every_days",
                self.churn.cutoff_every_days.to_string(),
                DAYS,
            ),
            (days(self.lead.horizon_days), "lead.horizon_days", self.lead.horizon_days.to_string(), DAYS),
            (
                (1..=20).contains(&ages.len()) && rising(ages) && ages.iter().all(|age| *age <= 3650),
                "lead.ages_days",
                format!("{ages:?}"),
                "1 to 20 rising values of 0 to 3650",
            ),
            (
                windows.len() <= 10 && rising(windows) && windows.iter().all(|window| days(*window)),
                "features.windows_days",
                format!("{windows:?}"),
                "up to 10 rising values of 1 to 3650",
            ),
            (
                names(&self.features.kinds, 50, 64),
                "features.kinds",
                format!("{:?}", self.features.kinds),
                "\"auto\", or up to 50 different names of 1 to 64 bytes",
            ),
            (
                names(&self.features.properties, 50, 129)
                    && match &self.features.properties {
                        Choice::Auto => true,
                        Choice::List(list) => list.iter().all(|name| property_of(name).is_some()),
                    },
                "features.properties",
                format!("{:?}", self.features.properties),
                "\"auto\", or up to 50 different names of the form \"kind.property\"",
            ),
            (
                names(&self.features.attributes, 200, 64),
                "features.attributes",
                format!("{:?}", self.features.attributes),
                "\"auto\", or up to 200 different names of 1 to 64 bytes",
            ),
        ];
        match checks.into_iter().find(|(fine, ..)| !fine) {
            Some((_, key, value, allowed)) => Err(SpecError::Value { key, value, allowed }),
            None => Ok(()),
        }
    }

    /// The days after `as_of` that decide for `target`.
    #[must_use]
    pub const fn horizon_days(&self, target: Target) -> u32 {
        match target {
            Target::Lead => self.lead.horizon_days,
            Target::Churn => self.churn.horizon_days,
        }
    }

    /// Sets the horizon of `target`.
    pub const fn set_horizon_days(&mut self, target: Target, days: u32) {
        match target {
            Target::Lead => self.lead.horizon_days = days,
            Target::Churn => self.churn.horizon_days = days,
        }
    }
}

/// The spec as TOML, every key written out.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spec that DESIGN and README print.
    const DOCUMENTED: &str = r#"
[churn]
event = "inactivity"
horizon_days = 90
cutoff_every_days = 30
[lead]
horizon_days = 30
ages_days = [0, 7, 30]
[features]
windows_days = [7, 30, 90, 365]
kinds = "auto"
properties = "auto"
attributes = "auto"
"#;

    #[test]
    fn defaults_are_as_documented_and_survive_a_round_trip() {
        assert_eq!(Spec::parse(DOCUMENTED).unwrap(), Spec::default());
        assert_eq!(Spec::parse("").unwrap(), Spec::default());
        assert_eq!(Spec::parse(&Spec::default().to_string()).unwrap(), Spec::default());
        for list in
            ["kinds = [\"purchase\", \"call\"]", "properties = [\"purchase.units\"]", "properties = []"]
        {
            let listed = Spec::parse(&format!("[features]\n{list}")).unwrap();
            assert_ne!(listed, Spec::default());
            assert_eq!(Spec::parse(&listed.to_string()).unwrap(), listed);
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, named) in [
            ("[churn]\nhorizon = 3", "horizon"),
            ("[churn]\nhorizon_days = 0", "churn.horizon_days = 0"),
            ("[churn]\nhorizon_days = -1", "horizon_days"),
            ("[churn]\nevent = \"gone\"", "gone"),
            ("[lead]\nages_days = []", "lead.ages_days"),
            ("[lead]\nages_days = [7, 0]", "lead.ages_days"),
            ("[features]\nwindows_days = [30, 30]", "features.windows_days"),
            ("[features]\nkinds = [\"a\", \"a\"]", "features.kinds"),
            ("[features]\nproperties = [\"units\"]", "\"kind.property\""),
            ("[features]\nproperties = [\"purchase.\"]", "features.properties"),
            ("[features]\nproperties = [\".units\"]", "features.properties"),
            ("[features]\nproperties = [\"a.b\", \"a.b\"]", "features.properties"),
            ("[features]\nproperties = \"all\"", "`all` is neither \"auto\" nor a list"),
            ("[features]\nproperties = {purchase = \"units\"}", "properties"),
            ("[feature]\nkinds = \"auto\"", "feature"),
        ] {
            let message = Spec::parse(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text} -> {message}");
        }
    }
}
