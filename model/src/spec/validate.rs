//! The ranges of the spec's values.

use serde::Serialize;

use super::{ChurnSpec, FeaturesSpec, LeadSpec, Selector, Spec};
use crate::history::kind::CANCEL;

/// The most days that any key takes.
const MOST_DAYS: u32 = 3650;
const DAYS: &str = "1 to 3650 days";
/// The longest name of a kind, a property or an attribute, in bytes.
const LONGEST_NAME: usize = 64;

/// The most characters of a value that a message repeats.
const LONGEST_SHOWN: usize = 80;

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

/// Splits `kind.property` at the last dot into the kind and the property; None when either is not a valid name.
#[must_use]
pub fn split_property(name: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| (1..=LONGEST_NAME).contains(&name.len());
    name.rsplit_once('.').filter(|(kind, property)| is_name(kind) && is_name(property))
}

impl Spec {
    /// Checks the ranges of all values.
    ///
    /// # Errors
    /// [`SpecError::Value`] names the first key that is out of its range.
    pub fn validate(&self) -> Result<(), SpecError> {
        self.churn.validate()?;
        self.lead.validate()?;
        self.features.validate()
    }
}

impl ChurnSpec {
    fn validate(&self) -> Result<(), SpecError> {
        check_days("churn.horizon_days", self.horizon_days)?;
        check_days("churn.cutoff_every_days", self.cutoff_every_days)?;
        check(
            self.start_kinds.is_within(50, LONGEST_NAME) && self.start_kinds.all(|kind| kind != CANCEL),
            "churn.start_kinds",
            &self.start_kinds,
            "\"auto\", or up to 50 different names of 1 to 64 bytes other than \"cancel\"",
        )
    }
}

impl LeadSpec {
    fn validate(&self) -> Result<(), SpecError> {
        check_days("lead.horizon_days", self.horizon_days)?;
        let Selector::List(ages) = &self.ages_days else { return Ok(()) };
        check(
            (1..=20).contains(&ages.len()) && is_rising(ages) && ages.iter().all(|age| *age <= MOST_DAYS),
            "lead.ages_days",
            ages,
            "\"auto\", or 1 to 20 rising values of 0 to 3650",
        )
    }
}

impl FeaturesSpec {
    fn validate(&self) -> Result<(), SpecError> {
        let windows = &self.windows_days;
        check(
            windows.len() <= 10 && is_rising(windows) && windows.iter().all(|days| is_valid(*days)),
            "features.windows_days",
            windows,
            "up to 10 rising values of 1 to 3650",
        )?;
        check(
            self.kinds.is_within(50, LONGEST_NAME),
            "features.kinds",
            &self.kinds,
            "\"auto\", or up to 50 different names of 1 to 64 bytes",
        )?;
        check(
            self.properties.is_within(50, 2 * LONGEST_NAME + 1)
                && self.properties.all(|name| split_property(name).is_some()),
            "features.properties",
            &self.properties,
            "\"auto\", or up to 50 different names of the form \"kind.property\"",
        )?;
        check(
            self.attributes.is_within(200, LONGEST_NAME),
            "features.attributes",
            &self.attributes,
            "\"auto\", or up to 200 different names of 1 to 64 bytes",
        )
    }
}

fn is_valid(days: u32) -> bool {
    (1..=MOST_DAYS).contains(&days)
}

fn is_rising(list: &[u32]) -> bool {
    list.is_sorted_by(|a, b| a < b)
}

fn check_days(key: &'static str, days: u32) -> Result<(), SpecError> {
    check(is_valid(days), key, &days, DAYS)
}

fn check(
    is_allowed: bool,
    key: &'static str,
    value: &impl Serialize,
    allowed: &'static str,
) -> Result<(), SpecError> {
    if is_allowed { Ok(()) } else { Err(SpecError::Value { key, value: shown(value), allowed }) }
}

/// The beginning of a value as the spec has it.
fn shown(value: &impl Serialize) -> String {
    let toml = toml::Value::try_from(value).map_or_else(|error| error.to_string(), |value| value.to_string());
    match toml.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &toml[..end]),
        None => toml,
    }
}
