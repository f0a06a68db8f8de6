//! A choice of values: `"auto"`, or a list.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, SeqAccess, Unexpected, Visitor, value::SeqAccessDeserializer},
};

const AUTO: &str = "auto";

/// Which values are taken, mostly names: those that the data suggests, or those that a person lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector<T = String> {
    /// `"auto"`.
    #[default]
    Auto,
    /// A list of values.
    List(Vec<T>),
}

impl<T: Serialize> Serialize for Selector<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str(AUTO),
            Self::List(values) => serializer.collect_seq(values),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Selector<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AutoOrList(PhantomData))
    }
}

/// Reads a [`Selector`]. An untagged enum would hide which value of a list is wrong.
struct AutoOrList<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for AutoOrList<T> {
    type Value = Selector<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"auto\" or a list")
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<Self::Value, E> {
        match word {
            AUTO => Ok(Selector::Auto),
            _ => Err(E::invalid_value(Unexpected::Str(word), &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(Selector::List)
    }
}

impl Selector {
    /// Whether it is `"auto"`.
    pub(super) const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }

    /// Whether a list has at most `most` names, all different and of 1 to `longest` bytes.
    pub(super) fn is_within(&self, most: usize, longest: usize) -> bool {
        let Self::List(names) = self else { return true };
        let mut sorted = names.clone();
        sorted.sort();
        sorted.dedup();
        sorted.len() == names.len()
            && names.len() <= most
            && names.iter().all(|name| (1..=longest).contains(&name.len()))
    }

    /// Whether every listed name passes the test.
    pub(super) fn all(&self, is_valid: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Auto => true,
            Self::List(names) => names.iter().all(|name| is_valid(name)),
        }
    }
}
