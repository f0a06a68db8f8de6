//! Requests to domain values, by a validator of our own: it reports all violations of a request at once,
//! with the path of each field, and names fields only when something is wrong with them, since requests
//! have up to 10,000 items.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
};

use prost_types::{Struct, Timestamp, value::Kind};
use tally_model::{
    history::{AttributeValue, Attributes, kind},
    spec::Target,
    time::Time,
};
use tally_proto::v1;

use crate::{
    catalog::ModelName,
    platform::error::{Error, Result, Shortened, Violation},
};
use tally_proto::{
    limits,
    values::{has_control, is_placeholder, trimmed},
};
use tally_store::{Interaction, NewCustomer, OnConflict};

/// Converts the fields of a request and collects their violations. A conversion that fails returns some
/// valid value, which [`finish`](Self::finish) then discards.
pub struct Validator {
    now: Time,
    violations: Vec<Violation>,
}

impl Validator {
    pub const fn new(now: Time) -> Self {
        Self { now, violations: Vec::new() }
    }

    /// Adds a violation.
    pub fn refuse(&mut self, field: impl Display, description: impl Into<String>) {
        self.violations.push(Violation { field: field.to_string(), description: description.into() });
    }

    /// Whether nothing was refused so far.
    pub const fn is_fine(&self) -> bool {
        self.violations.is_empty()
    }

    fn require(&mut self, fine: bool, field: impl Display, description: impl FnOnce() -> String) {
        if !fine {
            self.refuse(field, description());
        }
    }

    /// Returns `value`, or all violations.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when anything was refused.
    pub fn finish<T>(self, value: T) -> Result<T> {
        if self.violations.is_empty() { Ok(value) } else { Err(Error::Invalid(self.violations)) }
    }

    /// A repeated field of 1 to `most` items. Returns whether their number is allowed; only then are the
    /// items worth checking.
    pub fn batch(&mut self, field: &str, count: usize, most: usize) -> bool {
        let fine = (1..=most).contains(&count);
        self.require(fine, field, || format!("has {count} items; allowed are 1 to {most}"));
        fine
    }

    /// An id: 1 to 256 characters without control characters. Returns it without blanks at its ends, which never
    /// count.
    #[must_use]
    pub fn id(&mut self, field: impl Display + Copy, id: String) -> String {
        self.name(field, id, 1, limits::ID_CHARS)
    }

    /// An id under which something is to be stored: not one that stands for "no value".
    fn new_id(&mut self, field: impl Display + Copy, id: String) -> String {
        let id = self.id(field, id);
        self.no_placeholder(field, &id);
        id
    }

    /// The name of an attribute or property that is asked for. Returns it without blanks at its ends, as it is stored.
    #[must_use]
    pub fn word(&mut self, field: impl Display + Copy, name: String) -> String {
        self.name(field, name, 1, limits::WORD_CHARS)
    }

    /// A short text without control characters; returns it without blanks at its ends.
    fn name(&mut self, field: impl Display + Copy, name: String, least: usize, most: usize) -> String {
        let name = without_blanks(name);
        self.text(field, &name, least, most);
        self.no_control(field, &name);
        name
    }

    /// The name of an attribute or property.
    fn key(&mut self, field: impl Display + Copy, key: &str) {
        self.text(field, key, 1, limits::WORD_CHARS);
        self.no_control(field, key);
    }

    fn text(&mut self, field: impl Display, text: &str, least: usize, most: usize) {
        // No text has more characters than bytes.
        let fits = text.len() >= least && (text.len() <= most || text.chars().count() <= most);
        self.require(fits, field, || {
            if text.is_empty() {
                format!("is empty; allowed are {least} to {most} characters")
            } else {
                format!("has {} characters; allowed are {least} to {most}", text.chars().count())
            }
        });
    }

    fn no_placeholder(&mut self, field: impl Display, text: &str) {
        self.require(!is_placeholder(text), field, || {
            format!("is `{text}`, which stands for no value; allowed are names that tell one from another")
        });
    }

    fn no_control(&mut self, field: impl Display, text: &str) {
        self.require(!has_control(text), field, || "has a control character; none is allowed".to_owned());
    }

    fn no_nul(&mut self, field: impl Display, text: &str) {
        self.require(!text.contains('\0'), field, || {
            "has the character U+0000, which is not allowed".to_owned()
        });
    }

    /// A moment of the years 1970 to 9999, at most one day in the future, cut to the microsecond.
    pub fn time(&mut self, field: impl Display, time: &Timestamp) -> Time {
        let range = (0..1_000_000_000).contains(&time.nanos).then(|| {
            let micros = time.seconds.checked_mul(1_000_000)?.checked_add(i64::from(time.nanos / 1_000))?;
            Some(Time(micros)).filter(|time| (Time::MIN..=Time::MAX).contains(time))
        });
        match range.flatten() {
            Some(time) if time.0 <= self.now.0.saturating_add(limits::FUTURE_MICROS) => return time,
            Some(time) => self.refuse(field, format!("{time} is more than one day in the future")),
            None => self.refuse(field, out_of_range(time)),
        }
        Time::MIN
    }

    /// A time at which something happened, which was after the first moment of 1970.
    fn past_time(&mut self, field: impl Display, time: &Timestamp) -> Time {
        if time.seconds < 0 || (time.seconds == 0 && time.nanos < 1_000) {
            self.refuse(
                field,
                "is 1970-01-01T00:00:00Z or before, which is what an unset field or a zero in the source \
                 becomes; send the time at which it happened",
            );
            return Time::MIN;
        }
        self.time(field, time)
    }

    /// `as_of_time`; now when it is empty.
    pub fn as_of(&mut self, time: Option<&Timestamp>) -> Time {
        time.map_or(self.now, |time| self.time("as_of_time", time))
    }

    /// A page size; 0 means the default, and sizes above the limit are cut to it.
    pub fn page_size(&mut self, size: i32) -> usize {
        match usize::try_from(size) {
            Ok(0) => limits::PAGE,
            Ok(size) => size.min(limits::LONGEST_PAGE),
            Err(_) => {
                self.refuse("page_size", format!("is {size}; allowed are 0 (for {}) and more", limits::PAGE));
                limits::PAGE
            }
        }
    }

    /// The number of reasons; 0 means 3, −1 all.
    pub fn max_reasons(&mut self, most: i32) -> usize {
        match most {
            0 => 3,
            -1 => usize::MAX,
            1.. => most as usize,
            _ => {
                self.refuse("max_reasons", format!("is {most}; allowed are -1 (all), 0 (for 3) and more"));
                0
            }
        }
    }

    /// A target; unspecified and unknown ones are refused.
    pub fn target(&mut self, target: i32) -> Target {
        if let Some(target) = self.optional_target(target) {
            return target;
        }
        if target == v1::Target::Unspecified as i32 {
            self.refuse("target", "is missing; allowed are TARGET_LEAD and TARGET_CHURN");
        }
        Target::Lead
    }

    /// A target; None when it is unspecified.
    pub fn optional_target(&mut self, target: i32) -> Option<Target> {
        match v1::Target::try_from(target) {
            Ok(v1::Target::Lead) => Some(Target::Lead),
            Ok(v1::Target::Churn) => Some(Target::Churn),
            Ok(v1::Target::Unspecified) => None,
            Err(_) => {
                self.refuse("target", format!("is {target}; allowed are TARGET_LEAD and TARGET_CHURN"));
                None
            }
        }
    }

    /// A model version of `target`; None, for the champion, when it is empty.
    pub fn model(&mut self, target: Target, name: &str) -> Option<ModelName> {
        if name.is_empty() {
            return None;
        }
        let parsed = ModelName::parse(name).filter(|name| name.target == target);
        self.require(parsed.is_some(), "model", || {
            format!("is not a version of a {target} model, such as {target}/7; empty means the champion")
        });
        parsed
    }

    /// A model version of any target.
    pub fn version(&mut self, name: &str) -> ModelName {
        ModelName::parse(name).unwrap_or_else(|| {
            let given = Shortened(name);
            self.refuse("model", format!("is `{given}`, no model version; allowed are such as churn/7"));
            ModelName { target: Target::Lead, version: 0 }
        })
    }

    /// What to do on a conflict; unspecified means to fail.
    pub fn on_conflict(&mut self, on_conflict: i32) -> OnConflict {
        match v1::OnConflict::try_from(on_conflict) {
            Ok(v1::OnConflict::Unspecified | v1::OnConflict::Fail) => OnConflict::Fail,
            Ok(v1::OnConflict::Skip) => OnConflict::Skip,
            Ok(v1::OnConflict::Correct) => OnConflict::Correct,
            Err(_) => {
                self.refuse(
                    "on_conflict",
                    format!(
                        "is {on_conflict}; allowed are ON_CONFLICT_FAIL, ON_CONFLICT_SKIP and ON_CONFLICT_CORRECT"
                    ),
                );
                OnConflict::Fail
            }
        }
    }

    /// A remark for the audit, which may be empty.
    pub fn remark(&mut self, field: &str, remark: &str, most: usize) {
        self.text(field, remark, 0, most);
        self.no_control(field, remark);
    }

    /// A customer to be stored.
    pub fn customer(&mut self, field: impl Display + Copy, customer: v1::Customer) -> NewCustomer {
        let customer_id = self.new_id(format_args!("{field}.customer_id"), customer.customer_id);
        let name = self.name(format_args!("{field}.name"), customer.name, 0, limits::ID_CHARS);
        let create_time = customer
            .create_time
            .as_ref()
            .map(|time| self.past_time(format_args!("{field}.create_time"), time));
        let attributes =
            customer.attributes.map(|sent| self.attributes(format_args!("{field}.attributes"), sent));
        NewCustomer {
            customer_id,
            name: Some(name).filter(|name| !name.is_empty()),
            create_time,
            attributes: attributes.unwrap_or_default(),
        }
    }

    /// Names of attributes, of which there may be none.
    pub fn attribute_names(&mut self, field: &str, names: Vec<String>) -> Vec<String> {
        let count = names.len();
        self.require(count <= limits::ATTRIBUTES, field, || {
            format!("has {count} items; allowed are up to {}", limits::ATTRIBUTES)
        });
        let mut name = |(n, name)| self.name(format_args!("{field}[{n}]"), name, 1, limits::WORD_CHARS);
        names.into_iter().enumerate().map(&mut name).collect()
    }

    /// Attributes that were sent. A client that was given a plain object where it needs a Struct or a Value sends an
    /// empty one, so what is empty is refused: it would erase attributes without a word.
    fn attributes(&mut self, field: impl Display + Copy, attributes: Struct) -> Attributes {
        let count = attributes.fields.len();
        self.require((1..=limits::ATTRIBUTES).contains(&count), field, || match count {
            0 => "is sent, but has no entries; leave it out for a customer without attributes. A JavaScript \
                  client sends this for a plain object: see Customer.attributes in customer.proto"
                .to_owned(),
            _ => format!("has {count} entries; allowed are up to {}", limits::ATTRIBUTES),
        });
        self.distinct(field, attributes.fields.keys());
        let mut checked = Attributes::new();
        for (name, value) in attributes.fields {
            let field = format_args!("{field}.{}", Shortened(&name));
            self.key(field, trimmed(&name));
            let Some(kind) = value.kind else {
                self.refuse(
                    field,
                    "is a Value of no kind; set one of number_value, string_value, bool_value and null_value",
                );
                continue;
            };
            if let Some(value) = self.attribute(field, kind) {
                checked.insert(without_blanks(name), value);
            }
        }
        checked
    }

    /// The value of an attribute; None for null and texts that stand for "no value".
    fn attribute(&mut self, field: impl Display + Copy, value: Kind) -> Option<AttributeValue> {
        match value {
            Kind::NullValue(_) => return None,
            Kind::BoolValue(truth) => return Some(AttributeValue::Boolean(truth)),
            // Adding 0 makes a negative zero positive.
            Kind::NumberValue(number) if number.is_finite() => {
                return Some(AttributeValue::Number(number + 0.0));
            }
            Kind::NumberValue(number) => {
                self.refuse(field, format!("is {number}; a number must be finite"));
            }
            Kind::StringValue(text) => {
                let text = self.value(field, text)?;
                return if is_placeholder(&text) { None } else { Some(AttributeValue::Text(text)) };
            }
            Kind::StructValue(_) | Kind::ListValue(_) => {
                self.refuse(field, "is nested; allowed are numbers, booleans and strings");
            }
        }
        None
    }

    /// The text of a value without blanks at its ends; None when nothing is left.
    fn value(&mut self, field: impl Display + Copy, text: String) -> Option<String> {
        let text = without_blanks(text);
        self.text(field, &text, 0, limits::VALUE_CHARS);
        self.no_nul(field, &text);
        Some(text).filter(|text| !text.is_empty())
    }

    /// Names that are the same without blanks at their ends are refused: one value would hide the other.
    fn distinct<'a>(&mut self, field: impl Display + Copy, names: impl Iterator<Item = &'a String> + Clone) {
        if names.clone().all(|name| trimmed(name).len() == name.len()) {
            return;
        }
        let mut seen = BTreeMap::new();
        for name in names {
            if let Some(before) = seen.insert(trimmed(name), name) {
                let [before, name] = [before, name].map(|name| Shortened(name).to_string());
                self.refuse(
                    field,
                    format!("has {before:?} and {name:?}, which are the same without blanks at their ends"),
                );
            }
        }
    }

    /// An interaction to be recorded.
    pub fn interaction(
        &mut self,
        field: impl Display + Copy,
        item: v1::Interaction,
        backfill: bool,
    ) -> Interaction {
        let customer_id = self.new_id(format_args!("{field}.customer_id"), item.customer_id);
        let interaction_id = self.new_id(format_args!("{field}.interaction_id"), item.interaction_id);
        let kind_field = format_args!("{field}.kind");
        let kind = self.name(kind_field, item.kind, 1, limits::WORD_CHARS);
        self.no_placeholder(kind_field, &kind);
        let bytes = customer_id.len() + interaction_id.len() + kind.len();
        self.require(bytes <= limits::KEY_BYTES, field, || {
            let most = limits::KEY_BYTES;
            format!(
                "has {bytes} bytes in customer_id, interaction_id and kind together; allowed are up to {most}"
            )
        });
        let channel = self.name(format_args!("{field}.channel"), item.channel, 0, limits::WORD_CHARS);
        let occur_field = format_args!("{field}.occur_time");
        let occur_time = match &item.occur_time {
            Some(time) => self.past_time(occur_field, time),
            None => {
                self.refuse(occur_field, "is missing");
                Time::MIN
            }
        };
        self.amount(format_args!("{field}.amount_minor"), &kind, item.amount_minor.unwrap_or(0));
        let properties = self.properties(format_args!("{field}.properties"), &kind, item.properties);
        Interaction {
            customer_id,
            interaction_id,
            kind,
            occur_time,
            record_time: if backfill { occur_time.min(self.now) } else { self.now },
            amount_minor: item.amount_minor,
            channel: if is_placeholder(&channel) { String::new() } else { channel },
            properties,
        }
    }

    /// How many decimals amounts have; None when the sender does not say.
    pub fn amount_decimals(&mut self, decimals: Option<i32>) -> Option<u8> {
        let decimals = decimals?;
        let allowed = u8::try_from(decimals).ok().filter(|decimals| *decimals <= limits::AMOUNT_DECIMALS);
        self.require(allowed.is_some(), "amount_decimals", || {
            format!("is {decimals}; allowed are 0 to {}", limits::AMOUNT_DECIMALS)
        });
        allowed
    }

    fn amount(&mut self, field: impl Display + Copy, kind: &str, amount: i64) {
        let most = limits::AMOUNT_MINOR;
        self.require((-most..=most).contains(&amount), field, || {
            format!("is {amount}; allowed are −{most} to {most}")
        });
        self.require(amount >= 0 || kind != kind::PURCHASE, field, || {
            format!("is {amount}, negative; send a `return` with a positive amount for a refund")
        });
        self.require(amount >= 0 || kind != kind::RETURN, field, || {
            format!("is {amount}, negative; the amount of a `return`, the refund, is positive")
        });
    }

    fn properties(
        &mut self,
        field: impl Display + Copy,
        kind: &str,
        properties: HashMap<String, String>,
    ) -> BTreeMap<String, String> {
        let count = properties.len();
        self.require(count <= limits::PROPERTIES, field, || {
            format!("has {count} entries; allowed are up to {}", limits::PROPERTIES)
        });
        // Violations have the same order in every run.
        let properties = BTreeMap::from_iter(properties);
        self.distinct(field, properties.keys());
        let mut checked = BTreeMap::new();
        for (key, value) in properties {
            let field = format_args!("{field}.{}", Shortened(&key));
            self.key(field, trimmed(&key));
            if let Some(value) = self.value(field, value) {
                checked.insert(without_blanks(key), value);
            }
        }
        if kind == kind::SURVEY {
            self.survey(field, &checked);
        }
        checked
    }

    fn survey(&mut self, field: impl Display + Copy, properties: &BTreeMap<String, String>) {
        let number = |key: &str| properties.get(key).map(|value| value.parse::<f64>().ok());
        let finite = |value: Option<f64>| value.is_some_and(f64::is_finite);
        self.require(number(kind::SCORE).is_none_or(finite), format_args!("{field}.score"), || {
            "is not a finite number, as the score of a survey must be".to_owned()
        });
        let positive = |value: Option<f64>| finite(value) && value > Some(0.0);
        self.require(number(kind::EXPECTED).is_none_or(positive), format_args!("{field}.expected"), || {
            "is not a number above 0, as the expectation of a survey must be".to_owned()
        });
    }
}

/// What is wrong with a time that is none of the years 1970 to 9999.
fn out_of_range(time: &Timestamp) -> String {
    match time.nanos {
        0..1_000_000_000 => format!("is {time}; allowed are the years 1970 to 9999"),
        nanos => format!("has {nanos} nanoseconds; allowed are 0 to 999,999,999"),
    }
}

/// The text without blanks at its ends, copied only if it has some.
fn without_blanks(text: String) -> String {
    match trimmed(&text) {
        inner if inner.len() == text.len() => text,
        inner => inner.to_owned(),
    }
}
