//! A choice of names: `"auto"`, or a list.

use serde::{Deserialize, Serialize};

/// Which names get features: those that the data suggests, or those that a person lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WordOrList", into = "WordOrList")]
pub enum Selector {
    /// `"auto"`.
    #[default]
    Auto,
    /// A list of names.
    List(Vec<String>),
}

/// A [`Selector`] as TOML has it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WordOrList {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<WordOrList> for Selector {
    type Error = String;

    fn try_from(raw: WordOrList) -> Result<Self, String> {
        match raw {
            WordOrList::Word(word) if word == "auto" => Ok(Self::Auto),
            WordOrList::Word(word) => Err(format!("`{word}` is neither \"auto\" nor a list of names")),
            WordOrList::List(names) => Ok(Self::List(names)),
        }
    }
}

impl From<Selector> for WordOrList {
    fn from(selector: Selector) -> Self {
        match selector {
            Selector::Auto => Self::Word("auto".into()),
            Selector::List(names) => Self::List(names),
        }
    }
}

impl Selector {
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
