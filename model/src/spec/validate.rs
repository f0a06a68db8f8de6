//! The ranges of the spec's values.

use std::fmt;

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
    #[error("{}", .0.to_string().trim_end())]
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
    /// A key that is not there and has no default.
    #[error("{key} is missing: allowed are {allowed}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What may be given.
        allowed: &'static str,
    },
    /// Something else in the place of a table, such as a list, which serde would take for the values of its keys.
    #[error("{key} is {given}; allowed are tables, such as {header} with its keys below")]
    NotATable {
        /// The key of the table.
        key: String,
        /// What was given.
        given: String,
        /// The line that begins one: `[key]`, or `[[key]]` where there may be several.
        header: String,
    },
    /// A table in the place of a list of tables.
    #[error(
        "{key} is a table; allowed are lists of tables, such as [[{key}]] with the keys of an entry below"
    )]
    Table {
        /// The key of the list.
        key: String,
    },
    /// A key that is not one of those that go with another one.
    #[error("unknown field `{key}` {with}: allowed are {allowed}")]
    UnknownKey {
        /// The key.
        key: String,
        /// What decides which keys there are, such as `with the kind lead_hot`.
        with: String,
        /// The keys that there are.
        allowed: &'static str,
    },
    /// A character that no text has.
    #[error("line {line} has a NUL character (U+0000); allowed is text in UTF-8")]
    Nul {
        /// The line, the first one is 1.
        line: usize,
    },
    /// A mistake in one of several tables of the same name.
    #[error("{place}: {error}")]
    Within {
        /// Which of them, such as `playbook entry 3`.
        place: String,
        /// The mistake.
        error: Box<Self>,
    },
}

impl SpecError {
    /// A value that is not allowed; of a long one, the message has the beginning.
    pub(crate) fn value(key: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        Self::Value { key, value: shortened(value.to_string()), allowed }
    }

    /// A key that does not go with another one; of a long one, the message has the beginning.
    pub(crate) fn unknown_key(key: &str, with: String, allowed: &'static str) -> Self {
        Self::UnknownKey { key: shortened(key.to_owned()), with, allowed }
    }

    /// Something else in the place of a table, or of one of several; of a long value, the message has the beginning.
    pub(super) fn not_a_table(key: String, given: String, is_entry: bool) -> Self {
        let header = if is_entry { format!("[[{key}]]") } else { format!("[{key}]") };
        Self::NotATable { key, given: shortened(given), header }
    }

    /// The mistake, in one of several tables of the same name.
    pub(crate) fn within(self, place: String) -> Self {
        Self::Within { place, error: Box::new(self) }
    }

    /// The same error about what was given instead of a number; None when it is about something else than this number.
    pub(super) fn with_value(self, number: &str, given: &str) -> Option<Self> {
        match self {
            Self::Value { key, value, allowed } => {
                value.contains(number).then(|| Self::value(key, value.replace(number, given), allowed))
            }
            Self::Within { place, error } => Some(error.with_value(number, given)?.within(place)),
            Self::Toml(_)
            | Self::Missing { .. }
            | Self::NotATable { .. }
            | Self::Table { .. }
            | Self::UnknownKey { .. }
            | Self::Nul { .. } => None,
        }
    }
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
    if is_allowed { Ok(()) } else { Err(SpecError::value(key, as_toml(value), allowed)) }
}

/// A value as the spec has it.
fn as_toml(value: &impl Serialize) -> String {
    toml::Value::try_from(value).map_or_else(|error| error.to_string(), |value| value.to_string())
}

/// The beginning of a text.
fn shortened(text: String) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
