//! A customer's history: what happened, when, and when it became known, in order and compact.
//!
//! A history is all that a database hands over. It knows nothing of features or models; those are pure
//! functions of it (see [`crate::features`]). The columns and their packed form are ours rather than a
//! library's: the fold reads one customer at a time, so that a column format for tables (Arrow, Parquet)
//! would spend more on its headers than on the 10 bytes that an interaction takes.

pub mod activity;
mod columns;
mod events;
mod names;
mod packed;
mod unite;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::time::Time;

pub use columns::History;
pub use events::Events;
pub use packed::{DecodeError, Packed};

/// The kinds of interaction with a meaning of their own. All others are only counted and dated.
pub mod kind {
    /// Makes a lead a buyer.
    pub const PURCHASE: &str = "purchase";
    /// Goods brought back; the amount is the refund, positive.
    pub const RETURN: &str = "return";
    /// A relation began: with an account …
    pub const SIGNUP: &str = "signup";
    /// … with a subscription …
    pub const SUBSCRIBE: &str = "subscribe";
    /// … or again, for another term.
    pub const RENEWAL: &str = "renewal";
    /// The end of a relation, such as a subscription.
    pub const CANCEL: &str = "cancel";
    /// Something went wrong for the customer …
    pub const COMPLAINT: &str = "complaint";
    /// … and was put right.
    pub const RESOLUTION: &str = "resolution";
    /// The customer brought another one, whom the property `referred_customer_id` names.
    pub const REFERRAL: &str = "referral";
    /// The property of a referral with the id of the other customer.
    pub const REFERRED_CUSTOMER_ID: &str = "referred_customer_id";
    /// What was spent on the customer; the amount is positive.
    pub const COST: &str = "cost";
    /// An answer to a survey, with the properties [`SCORE`] and [`EXPECTED`].
    pub const SURVEY: &str = "survey";
    /// The property of a survey with the score that the customer gave, a number.
    pub const SCORE: &str = "score";
    /// The property of a survey with the score that was expected, a number above 0.
    pub const EXPECTED: &str = "expected";
}

/// The value of a customer attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// Yes or no.
    Boolean(bool),
    /// A finite number.
    Number(f64),
    /// Anything else.
    Text(String),
}

/// The value as text, the same wherever it is shown or compared: a number as in JSON, without needless zeros.
impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(truth) => truth.fmt(f),
            Self::Number(number) => {
                // Adding 0 makes −0 a 0.
                let text =
                    serde_json::Number::from_f64(number + 0.0).map_or_else(String::new, |n| n.to_string());
                f.write_str(&text.strip_suffix(".0").unwrap_or(&text).replace("e+", "e"))
            }
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A customer's attributes by name.
pub type Attributes = BTreeMap<String, AttributeValue>;

/// One interaction as the fold sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// When it happened.
    pub occur_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// From when on it does not count any more, if it is retracted.
    pub retract_time: Option<Time>,
    /// Money in minor units, when money was involved.
    pub amount_minor: Option<i64>,
    /// Index into [`History::kinds`].
    pub kind: u32,
}

impl Event {
    /// Whether it was known at `known_at`: recorded by then, and not retracted by then.
    #[must_use]
    pub fn is_known(&self, known_at: Time) -> bool {
        self.record_time <= known_at && self.retract_time.is_none_or(|time| time > known_at)
    }
}

/// The answer to a survey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// Index into [`History::events`].
    pub event: u32,
    /// `score / expected`: above 1 means more than was expected.
    pub satisfaction: f64,
}

/// A property of an event whose text parses as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// Index into [`History::events`].
    pub event: u32,
    /// Index into [`History::properties`].
    pub property: u32,
    /// Its value, at most [`Number::GREATEST`] either way.
    pub value: f64,
}

impl Number {
    /// The greatest value that counts as a number, the same as for amounts of money, so that sums stay finite.
    pub const GREATEST: f64 = 1e15;

    /// The value of a decimal such as `12`, `-0.5` or `1e3`; None for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<f64> {
        // Rust parses `inf` and `NaN`, too: neither is within the range. Adding 0 makes -0 a 0.
        let value = text.trim().parse::<f64>().ok()? + 0.0;
        (value.abs() <= Self::GREATEST).then_some(value)
    }
}

/// A property of an event whose text does not parse as a number, or its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    /// Index into [`History::events`].
    pub event: u32,
    /// Index into [`History::properties`]; that of [`CHANNEL`] for the channel.
    pub property: u32,
    /// Index into [`History::values`]. None when the text is not kept: those that are [longer](Text::LONGEST) or whose
    /// property is an [identifier](is_identifier) are no categories, and would take more room than all the rest.
    pub value: Option<u32>,
}

impl Text {
    /// The longest text that is kept, in bytes.
    pub const LONGEST: usize = 64;
}

/// The name under which a history keeps the channels of its events; no property has an empty name.
pub const CHANNEL: &str = "";

/// Whether a property of this name is an identifier, which means nothing by itself: `id`, `order_id`, `orderId`.
#[must_use]
pub fn is_identifier(name: &str) -> bool {
    name.eq_ignore_ascii_case("id") || name.to_lowercase().ends_with("_id") || name.ends_with("Id")
}

/// A version of the customer record, in force from `effective_time` on.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// When it comes into force.
    pub effective_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// When the relation with the customer began.
    pub create_time: Time,
    /// All attributes.
    pub attributes: Attributes,
}
