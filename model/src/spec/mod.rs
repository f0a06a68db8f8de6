//! The spec: what a model predicts and from which features, as a person writes it in TOML.
//!
//! Every key is optional. An unknown key or a value out of its range is an error that says what is allowed.

mod parse;
mod selector;
mod validate;

use std::fmt;

use serde::{Deserialize, Serialize};

pub(crate) use parse::parse;
pub use selector::Selector;
pub use validate::{SpecError, split_property};

/// What a model predicts.
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
    /// A `cancel` within the horizon; customers with a relation that it would end are eligible.
    Cancel,
}

/// The `[churn]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct ChurnSpec {
    /// What counts as leaving.
    pub event: ChurnEvent,
    /// The kinds of interaction that begin a relation which a `cancel` ends: those of `signup`, `subscribe`,
    /// `renewal` and `purchase` that occur, or a list of up to 50. Without any, everybody's relation begins with
    /// the customer. Left out where it is automatic, so that models that do not use it keep their bytes.
    #[serde(skip_serializing_if = "Selector::is_auto")]
    pub start_kinds: Selector,
    /// The length of the horizon after `as_of` in days, 1 to 3,650.
    pub horizon_days: u32,
    /// The distance between training cutoffs in days, 1 to 3,650.
    pub cutoff_every_days: u32,
}

impl Default for ChurnSpec {
    fn default() -> Self {
        Self {
            event: ChurnEvent::Inactivity,
            start_kinds: Selector::Auto,
            horizon_days: 90,
            cutoff_every_days: 30,
        }
    }
}

/// The `[lead]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct LeadSpec {
    /// The length of the horizon after `as_of` in days, 1 to 3,650.
    pub horizon_days: u32,
    /// The ages of a lead, in days after its creation, at which training takes snapshots: 0, 3, 7, 14, 30, 60, 120
    /// and so on up to the ages of the leads to be scored, or 1 to 20 rising values of 0 to 3,650.
    pub ages_days: Selector<u32>,
}

impl Default for LeadSpec {
    fn default() -> Self {
        Self { horizon_days: 30, ages_days: Selector::Auto }
    }
}

/// The `[features]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct FeaturesSpec {
    /// Lengths of the counting windows in days: up to 10 rising values of 1 to 3,650.
    pub windows_days: Vec<u32>,
    /// The kinds of interaction that get features: the 12 most frequent, or a list of up to 50.
    pub kinds: Selector,
    /// The numeric properties that get features, as `kind.property`: up to 12 that the data profile finds
    /// informative, or a list of up to 50.
    pub properties: Selector,
    /// The attributes that get features: all that occur (up to 200), or a list of up to 200.
    pub attributes: Selector,
}

impl Default for FeaturesSpec {
    fn default() -> Self {
        Self {
            windows_days: vec![7, 30, 90, 365],
            kinds: Selector::Auto,
            properties: Selector::Auto,
            attributes: Selector::Auto,
        }
    }
}

/// The whole spec.
///
/// ```
/// use tally_model::spec::{Spec, Target};
///
/// let spec = Spec::parse("[churn]\nhorizon_days = 60")?;
/// assert_eq!(spec.horizon_days(Target::Churn), 60);
/// assert_eq!(spec.horizon_days(Target::Lead), 30, "the default");
///
/// let error = Spec::parse("[churn]\nhorizon_days = 0").unwrap_err();
/// assert_eq!(error.to_string(), "churn.horizon_days = 0: allowed are 1 to 3650 days");
/// # Ok::<(), tally_model::spec::SpecError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Spec {
    /// How churn is defined and sampled.
    pub churn: ChurnSpec,
    /// How lead conversion is defined and sampled.
    pub lead: LeadSpec,
    /// Which features the models use.
    pub features: FeaturesSpec,
}

impl Spec {
    /// Parses and validates a spec.
    ///
    /// # Errors
    /// [`SpecError`] names the key and what is allowed.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        parse(text, |spec: Self| spec.validate().map(|()| spec))
    }

    /// The horizon of `target` in days.
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

/// The spec as TOML, with every key but an automatic `start_kinds`.
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
start_kinds = "auto"
horizon_days = 90
cutoff_every_days = 30
[lead]
horizon_days = 30
ages_days = "auto"
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
        let listed = Spec::parse("[lead]\nages_days = [0, 90]").unwrap();
        assert_eq!(Spec::parse(&listed.to_string()).unwrap(), listed);
        let listed = Spec::parse("[churn]\nstart_kinds = [\"join\"]").unwrap();
        assert_eq!(Spec::parse(&listed.to_string()).unwrap(), listed);
    }

    #[test]
    fn errors_name_the_mistake() {
        for (text, named) in [
            ("[churn]\nhorizon = 3", "horizon"),
            ("[churn]\nhorizon_days = 0", "churn.horizon_days = 0"),
            ("[churn]\nhorizon_days = -1", "churn.horizon_days = -1: allowed are 1 to 3650 days"),
            ("[churn]\ncutoff_every_days = 1.5", "churn.cutoff_every_days = 1.5: allowed are 1 to 3650 days"),
            ("[churn]\nhorizon_days = \"\"", "churn.horizon_days = \"\": allowed are 1 to 3650 days"),
            ("[churn]\nevent = \"gone\"", "gone"),
            ("[churn]\nstart_kinds = [\"join\", \"cancel\"]", "churn.start_kinds"),
            ("[churn]\nstart_kinds = [\"\"]", "churn.start_kinds"),
            ("[lead]\nages_days = []", "lead.ages_days"),
            ("[lead]\nages_days = [7, 0]", "lead.ages_days"),
            (
                "[lead]\nages_days = [-1, 7]",
                "lead.ages_days = [-1, 7]: allowed are \"auto\", or 1 to 20 rising",
            ),
            ("[lead]\nages_days = [0, 99999999999]", "lead.ages_days = [0, 99999999999]: allowed are"),
            ("churn = 3", "churn is 3; allowed are tables, such as [churn] with its keys below"),
            ("[lead]\nages_days = \"all\"", "invalid value: string \"all\", expected \"auto\" or a list"),
            ("[features]\nwindows_days = [30, 30]", "features.windows_days"),
            ("[features]\nkinds = [\"a\", \"a\"]", "features.kinds"),
            ("[features]\nproperties = [\"units\"]", "\"kind.property\""),
            ("[features]\nproperties = [\"purchase.\"]", "features.properties"),
            ("[features]\nproperties = [\".units\"]", "features.properties"),
            ("[features]\nproperties = [\"a.b\", \"a.b\"]", "features.properties"),
            (
                "[features]\nproperties = \"all\"",
                "invalid value: string \"all\", expected \"auto\" or a list",
            ),
            ("[features]\nproperties = {purchase = \"units\"}", "properties"),
            ("[features]\nkinds = 5", "expected \"auto\" or a list"),
            ("[features]\nkinds = [\"a\", 5]", "invalid type: integer `5`, expected a string"),
            ("[feature]\nkinds = \"auto\"", "feature"),
        ] {
            let message = Spec::parse(text).unwrap_err().to_string();
            assert!(message.contains(named), "{text} -> {message}");
        }
        let long = format!("[features]\nkinds = [\"{}\"]", "k".repeat(100));
        let shown = format!("features.kinds = [\"{}…: allowed are \"auto\"", "k".repeat(78));
        assert!(Spec::parse(&long).unwrap_err().to_string().starts_with(&shown));
    }
}
