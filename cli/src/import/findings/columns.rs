//! What the values of a column are.

use tally_proto::values::{boolean, is_placeholder};

use super::ColumnReport;
use crate::import::fields::NumberReader;

/// How many of 100 values of a numeric column must be numbers, at least.
const NUMERIC_PERCENT: u64 = 95;

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::import) enum ValueType {
    Number,
    Boolean,
    Text,
}

impl ValueType {
    pub(in crate::import) const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Text => "text",
        }
    }
}

/// The values of a column, by what they could be.
#[derive(Debug, Default)]
pub(in crate::import) struct ColumnStatistics {
    numbers: u64,
    booleans: u64,
    texts: u64,
    placeholders: u64,
    empty: u64,
    first_text: Option<String>,
    /// Texts that would be numbers without separators of thousands, and one of them.
    separated: u64,
    first_separated: Option<String>,
    first_placeholder: Option<String>,
}

impl ColumnStatistics {
    /// Counts a value without blanks at its ends.
    pub(in crate::import) fn add(&mut self, text: &str, numbers: NumberReader) {
        if text.is_empty() {
            self.empty += 1;
        } else if numbers.number(text).is_some() {
            self.numbers += 1;
        } else if boolean(text).is_some() {
            self.booleans += 1;
        } else if is_placeholder(text) {
            self.placeholders += 1;
            self.first_placeholder.get_or_insert_with(|| text.to_owned());
        } else {
            self.texts += 1;
            if is_separated(text) {
                self.separated += 1;
                self.first_separated.get_or_insert_with(|| text.to_owned());
            }
            self.first_text.get_or_insert_with(|| text.to_owned());
        }
    }

    /// Values, without those that stand for none.
    const fn values(&self) -> u64 {
        self.numbers + self.booleans + self.texts
    }

    /// The type of the column: a number if nearly all values are, a boolean if all are, and a text otherwise. None
    /// if it has no values.
    pub(in crate::import) fn value_type(&self) -> Option<ValueType> {
        match self.values() {
            0 => None,
            values if self.numbers * 100 >= values * NUMERIC_PERCENT => Some(ValueType::Number),
            values if self.booleans == values => Some(ValueType::Boolean),
            _ => Some(ValueType::Text),
        }
    }

    /// How many values keep a column from being numeric of which most values are numbers; 0 for any other.
    pub(in crate::import) fn texts_among_numbers(&self) -> u64 {
        let is_mixed = self.value_type() == Some(ValueType::Text) && self.numbers * 2 >= self.values();
        if is_mixed { self.values() - self.numbers } else { 0 }
    }

    /// An example, if most values would be numbers without separators of thousands.
    pub(in crate::import) fn separated(&self) -> Option<&str> {
        let is_most = self.separated * 2 > self.values();
        self.first_separated.as_deref().filter(|_| is_most && self.value_type() == Some(ValueType::Text))
    }

    /// A value that makes the column a text.
    pub(in crate::import) fn example(&self) -> Option<&str> {
        self.first_text.as_deref()
    }

    /// The values that count as missing when the column is of this type.
    const fn set_aside(&self, value_type: ValueType) -> u64 {
        match value_type {
            ValueType::Number => self.placeholders + self.booleans + self.texts,
            ValueType::Boolean | ValueType::Text => self.placeholders,
        }
    }

    /// The report of an attribute, whose type is `value_type`.
    pub(in crate::import) fn attribute(&self, name: &str, value_type: ValueType) -> ColumnReport {
        let set_aside = self.set_aside(value_type);
        let text = self.first_text.as_ref().filter(|_| value_type == ValueType::Number);
        ColumnReport {
            name: name.to_owned(),
            meaning: if self.values() == 0 { "no values" } else { value_type.name() },
            values: self.values() + self.placeholders - set_aside,
            empty: self.empty,
            set_aside,
            example: text.or(self.first_placeholder.as_ref()).cloned(),
        }
    }

    /// The report of a property. Only what stands for "no value" in a column of numbers counts as missing.
    pub(in crate::import) fn property(&self, name: &str) -> ColumnReport {
        let numeric = self.value_type() == Some(ValueType::Number);
        let set_aside = if numeric { self.placeholders } else { 0 };
        ColumnReport {
            name: name.to_owned(),
            meaning: match self.value_type() {
                Some(ValueType::Number) => "number",
                Some(_) => "text",
                None => "no values",
            },
            values: self.values() + self.placeholders - set_aside,
            empty: self.empty,
            set_aside,
            example: self.first_placeholder.clone().filter(|_| numeric),
        }
    }
}

/// Whether the text is digits in groups of three, such as `1.234,50`, `1,234` or `12 345`.
fn is_separated(text: &str) -> bool {
    let mut groups = text.split(['.', ',', ' ', '\'', '\u{a0}', '\u{202f}']);
    let is_digits = |group: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let first = groups.next().unwrap_or_default().trim_start_matches('-');
    let rest: Vec<&str> = groups.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let is_last = is_digits(last, 3..=3) || (!middle.is_empty() && is_digits(last, 1..=4));
    is_digits(first, 1..=3) && middle.iter().all(|group| is_digits(group, 3..=3)) && is_last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_thousands_are_recognised() {
        for text in ["1.234,50", "1,234", "12 345", "-1'234'567", "13.580,16", "1,234.5"] {
            assert!(is_separated(text), "{text}");
        }
        for text in ["1234,50", "12,5", "1.2.3", "2025.01.31", "192.168.0.1", "a.b", "1,23,456", ""] {
            assert!(!is_separated(text), "{text}");
        }
    }

    fn statistics<'a>(values: impl IntoIterator<Item = &'a str>) -> ColumnStatistics {
        let mut statistics = ColumnStatistics::default();
        values.into_iter().for_each(|value| statistics.add(value, NumberReader::default()));
        statistics
    }

    #[test]
    fn a_column_is_numeric_when_nearly_all_of_it_is() {
        let of_hundred = |texts| statistics((0..100).map(move |n| if n < texts { "many" } else { "7" }));
        assert_eq!(of_hundred(5).value_type(), Some(ValueType::Number));
        assert_eq!(of_hundred(6).value_type(), Some(ValueType::Text));
        let report = of_hundred(5).attribute("n", ValueType::Number);
        assert_eq!((report.values, report.set_aside, report.example.as_deref()), (95, 5, Some("many")));
        // What stands for no value does not count, however often it occurs.
        let gaps = statistics(["NULL", "n/a", "-", "", "1.5"]);
        assert_eq!(gaps.value_type(), Some(ValueType::Number));
        let report = gaps.attribute("n", ValueType::Number);
        assert_eq!((report.values, report.set_aside, report.empty), (1, 3, 1));
    }

    #[test]
    fn booleans_and_texts_are_told_apart() {
        assert_eq!(statistics(["true", "FALSE", "NULL"]).value_type(), Some(ValueType::Boolean));
        assert_eq!(statistics(["true", "yes"]).value_type(), Some(ValueType::Text));
        assert_eq!(statistics(["true", "1"]).value_type(), Some(ValueType::Text));
        assert_eq!(statistics(["007", "7"]).value_type(), Some(ValueType::Text));
        assert_eq!(statistics(["", "NULL"]).value_type(), None);
        assert_eq!(statistics([]).value_type(), None);
        let mixed = |values: &[&str]| statistics(values.iter().copied()).texts_among_numbers();
        assert_eq!(
            [mixed(&["1", "2", "x"]), mixed(&["1", "x", "y"]), mixed(&["1", "2"]), mixed(&[])],
            [1, 0, 0, 0]
        );
    }

    #[test]
    fn only_placeholders_of_numeric_properties_are_set_aside() {
        let report = statistics(["1", "2", "NULL"]).property("n");
        assert_eq!((report.meaning, report.values, report.set_aside), ("number", 2, 1));
        let report = statistics(["a", "-"]).property("n");
        assert_eq!((report.meaning, report.values, report.set_aside), ("text", 2, 0));
    }
}
