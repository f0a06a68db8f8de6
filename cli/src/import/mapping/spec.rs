//! The parts of a mapping file, as TOML has them.

use std::{collections::BTreeMap, fmt};

use jiff::tz::TimeZone;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer, value::SeqAccessDeserializer},
};

use super::cell::Cell;
use crate::time::{self, TimeFormat};

/// How the file is written that a mapping is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Format {
    /// Rows with a header, as CSV or xlsx.
    #[default]
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// A whole mapping file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MappingFile {
    #[serde(default)]
    pub(super) format: Format,
    pub(super) delimiter: Option<char>,
    #[serde(default, deserialize_with = "time_format")]
    pub(super) time_format: Option<TimeFormat>,
    #[serde(default, deserialize_with = "time_zone")]
    pub(super) time_zone: Option<TimeZone>,
    #[serde(default)]
    pub(super) decimal_comma: bool,
    /// The file may lack columns of what is not required.
    #[serde(default)]
    pub(super) allow_missing: bool,
    /// Rows one after the other with the same text in this column are one.
    pub(super) group_by: Option<String>,
    /// The columns that are summed in a group.
    #[serde(default)]
    pub(super) sum: Vec<String>,
    pub(super) customers: Option<CustomerRule>,
    #[serde(default)]
    pub(super) interactions: InteractionRules,
}

fn time_format<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeFormat>, D::Error> {
    let text = String::deserialize(deserializer)?;
    time::time_format(&text).map(Some).map_err(D::Error::custom)
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeZone>, D::Error> {
    let text = String::deserialize(deserializer)?;
    time::time_zone(&text).map(Some).map_err(D::Error::custom)
}

/// How a row becomes a customer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerRule {
    pub(super) customer_id: Cell,
    pub(super) create_time: Cell,
    pub(super) name: Option<Cell>,
    #[serde(default)]
    pub(super) attributes: Extras,
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    #[serde(default)]
    pub(super) r#where: Conditions,
    #[serde(default)]
    pub(super) unless: Conditions,
    #[serde(default)]
    pub(super) skip_empty: Vec<String>,
    /// All rows of a customer become one.
    #[serde(default)]
    pub(super) merge: bool,
}

/// How a row becomes an interaction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InteractionRule {
    pub(super) interaction_id: Cell,
    pub(super) customer_id: Cell,
    pub(super) kind: Cell,
    pub(super) occur_time: Cell,
    pub(super) amount: Option<Cell>,
    pub(super) channel: Option<Cell>,
    #[serde(default)]
    pub(super) properties: Extras,
    #[serde(default)]
    pub(super) ignore: Vec<String>,
    #[serde(default)]
    pub(super) r#where: Conditions,
    #[serde(default)]
    pub(super) unless: Conditions,
    #[serde(default)]
    pub(super) skip_empty: Vec<String>,
}

/// Texts by column.
pub(super) type Conditions = BTreeMap<String, Vec<String>>;

/// `[interactions]`, or several `[[interactions]]`.
#[derive(Debug, Default)]
pub(super) struct InteractionRules(pub(super) Vec<InteractionRule>);

impl<'de> Deserialize<'de> for InteractionRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Rules;
        impl<'de> Visitor<'de> for Rules {
            type Value = InteractionRules;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table [interactions] or several [[interactions]]")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                InteractionRule::deserialize(MapAccessDeserializer::new(map))
                    .map(|rule| InteractionRules(vec![rule]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(InteractionRules)
            }
        }
        deserializer.deserialize_any(Rules)
    }
}

/// Which columns become attributes or properties, under which names.
#[derive(Debug)]
pub(super) enum Extras {
    /// All that nothing else takes.
    Rest,
    /// All that nothing else takes and whose name begins with this prefix, which is dropped.
    Prefix(String),
    /// These, by their names in Tally.
    These(Vec<(String, Cell)>),
}

impl Default for Extras {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Extras {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ExtrasVisitor)
    }
}

struct ExtrasVisitor;

impl<'de> Visitor<'de> for ExtrasVisitor {
    type Value = Extras;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "\"rest\", a prefix such as \"traits.*\", a list of columns, or a table of columns by their new names",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Extras, E> {
        match text.strip_suffix('*') {
            _ if text == "rest" => Ok(Extras::Rest),
            Some(prefix) if !prefix.is_empty() => Ok(Extras::Prefix(prefix.to_owned())),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Extras, A::Error> {
        let names = Vec::<String>::deserialize(SeqAccessDeserializer::new(list))?;
        Ok(Extras::These(names.into_iter().map(|name| (name.clone(), Cell::column(name))).collect()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Extras, A::Error> {
        let cells = BTreeMap::<String, Cell>::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Extras::These(cells.into_iter().collect()))
    }
}
