//! A choice of values: `"auto"`, or a list.

use serde::{Deserialize, Serialize};

/// Which values are taken, mostly names: those that the data suggests, or those that a person lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WordOrList<T>", into = "WordOrList<T>")]
#[serde(bound(serialize = "T: Clone + Serialize", deserialize = "T: Deserialize<'de>"))]
pub enum Selector<T = String> {
    /// `"auto"`.
    #[default]
    Auto,
    /// A list of values.
    List(Vec<T>),
}

/// A [`Selector`] as TOML has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WordOrList<T> {
    Word(String),
    List(Vec<T>),
}

impl<T> TryFrom<WordOrList<T>> for Selector<T> {
    type Error = String;

    fn try_from(raw: WordOrList<T>) -> Result<Self, String> {
        match raw {
            WordOrList::Word(word) if word == "auto" => Ok(Self::Auto),
            WordOrList::Word(word) => Err(format!("`{word}` is neither \"auto\" nor a list")),
            WordOrList::List(values) => Ok(Self::List(values)),
        }
    }
}

impl<T> From<Selector<T>> for WordOrList<T> {
    fn from(selector: Selector<T>) -> Self {
        match selector {
            Selector::Auto => Self::Word("auto".into()),
            Selector::List(values) => Self::List(values),
        }
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
