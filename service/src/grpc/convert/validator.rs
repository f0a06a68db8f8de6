//! Requests to domain values, by a validator of our own: it reports all violations of a request at once,
//! with the path of each field, and names fields only when something is wrong with them, since requests
//! have up to 10,000 items.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write},
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
    platform::error::{Error, Result, Violation},
};
use tally_proto::limits;
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

    /// An id: 1 to 256 bytes without control characters.
    pub fn id(&mut self, field: impl Display + Copy, id: &str) {
        self.text(field, id, 1, limits::ID_BYTES);
        self.no_control(field, id);
    }

    fn text(&mut self, field: impl Display, text: &str, least: usize, most: usize) {
        self.require((least..=most).contains(&text.len()), field, || {
            if text.is_empty() {
                format!("is empty; allowed are {least} to {most} bytes")
            } else {
                format!("has {} bytes; allowed are {least} to {most}", text.len())
            }
        });
    }

    fn no_control(&mut self, field: impl Display, text: &str) {
        self.require(!text.chars().any(char::is_control), field, || {
            "has a control character; none is allowed".to_owned()
        });
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
            None => self.refuse(field, "is not a time of the years 1970 to 9999"),
        }
        Time::MIN
    }

    /// A required time.
    fn required_time(&mut self, field: impl Display, time: Option<&Timestamp>) -> Time {
        if let Some(time) = time {
            return self.time(field, time);
        }
        self.refuse(field, "is missing");
        Time::MIN
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
            self.refuse("model", "is not a model version; allowed are such as churn/7");
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
        self.id(format_args!("{field}.customer_id"), &customer.customer_id);
        let name = format_args!("{field}.name");
        self.text(name, &customer.name, 0, limits::ID_BYTES);
        self.no_control(name, &customer.name);
        let create_time =
            customer.create_time.as_ref().map(|time| self.time(format_args!("{field}.create_time"), time));
        let attributes =
            self.attributes(format_args!("{field}.attributes"), customer.attributes.unwrap_or_default());
        NewCustomer {
            customer_id: customer.customer_id,
            name: Some(customer.name).filter(|name| !name.is_empty()),
            create_time,
            attributes,
        }
    }

    fn attributes(&mut self, field: impl Display + Copy, attributes: Struct) -> Attributes {
        let count = attributes.fields.len();
        self.require(count <= limits::ATTRIBUTES, field, || {
            format!("has {count} entries; allowed are up to {}", limits::ATTRIBUTES)
        });
        let mut checked = Attributes::new();
        for (name, value) in attributes.fields {
            let field = format_args!("{field}.{}", Shortened(&name));
            self.text(field, &name, 1, limits::WORD_BYTES);
            self.no_control(field, &name);
            let value = match value.kind {
                None | Some(Kind::NullValue(_)) => continue,
                Some(Kind::BoolValue(truth)) => AttributeValue::Boolean(truth),
                // Adding 0 makes a negative zero positive.
                Some(Kind::NumberValue(number)) if number.is_finite() => AttributeValue::Number(number + 0.0),
                Some(Kind::NumberValue(number)) => {
                    self.refuse(field, format!("is {number}; a number must be finite"));
                    continue;
                }
                Some(Kind::StringValue(text)) => {
                    self.text(field, &text, 0, limits::VALUE_BYTES);
                    self.no_nul(field, &text);
                    AttributeValue::Text(text)
                }
                Some(Kind::StructValue(_) | Kind::ListValue(_)) => {
                    self.refuse(field, "is nested; allowed are numbers, booleans and strings");
                    continue;
                }
            };
            checked.insert(name, value);
        }
        checked
    }

    /// An interaction to be recorded.
    pub fn interaction(
        &mut self,
        field: impl Display + Copy,
        item: v1::Interaction,
        backfill: bool,
    ) -> Interaction {
        self.id(format_args!("{field}.customer_id"), &item.customer_id);
        self.id(format_args!("{field}.interaction_id"), &item.interaction_id);
        let kind_field = format_args!("{field}.kind");
        self.text(kind_field, &item.kind, 1, limits::WORD_BYTES);
        self.no_control(kind_field, &item.kind);
        let channel = format_args!("{field}.channel");
        self.text(channel, &item.channel, 0, limits::WORD_BYTES);
        self.no_control(channel, &item.channel);
        let occur_time = self.required_time(format_args!("{field}.occur_time"), item.occur_time.as_ref());
        let amount = item.amount_minor.unwrap_or(0);
        let most = limits::AMOUNT_MINOR;
        self.require((-most..=most).contains(&amount), format_args!("{field}.amount_minor"), || {
            format!("is {amount}; allowed are −{most} to {most}")
        });
        let properties = self.properties(format_args!("{field}.properties"), &item.kind, item.properties);
        Interaction {
            customer_id: item.customer_id,
            interaction_id: item.interaction_id,
            kind: item.kind,
            occur_time,
            record_time: if backfill { occur_time.min(self.now) } else { self.now },
            amount_minor: item.amount_minor,
            channel: item.channel,
            properties,
        }
    }

    fn properties(
        &mut self,
        field: impl Display + Copy,
        kind: &str,
        properties: std::collections::HashMap<String, String>,
    ) -> BTreeMap<String, String> {
        let count = properties.len();
        self.require(count <= limits::PROPERTIES, field, || {
            format!("has {count} entries; allowed are up to {}", limits::PROPERTIES)
        });
        let properties = BTreeMap::from_iter(properties);
        for (key, value) in &properties {
            let field = format_args!("{field}.{}", Shortened(key));
            self.text(field, key, 1, limits::WORD_BYTES);
            self.no_control(field, key);
            self.text(field, value, 0, limits::VALUE_BYTES);
            self.no_nul(field, value);
        }
        if kind == kind::SURVEY {
            let number = |key: &str| properties.get(key).map(|value| value.parse::<f64>().ok());
            let finite = |value: Option<f64>| value.is_some_and(f64::is_finite);
            self.require(number(kind::SCORE).is_none_or(finite), format_args!("{field}.score"), || {
                "is not a finite number, as the score of a survey must be".to_owned()
            });
            let positive = |value: Option<f64>| finite(value) && value > Some(0.0);
            self.require(
                number(kind::EXPECTED).is_none_or(positive),
                format_args!("{field}.expected"),
                || "is not a number above 0, as the expectation of a survey must be".to_owned(),
            );
        }
        properties
    }
}

/// A key as part of a field's name: readable, and short even when the key is not.
struct Shortened<'a>(&'a str);

impl Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        self.0.chars().take(limits::WORD_BYTES).try_for_each(|c| f.write_char(readable(c)))
    }
}
