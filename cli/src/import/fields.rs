//! Single fields of a row: their checks and their values.

use csv::StringRecord;
use tally_proto::{
    limits,
    values::{self, has_control, is_placeholder, trimmed},
};

/// What is wrong with one field of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// The number of the column, from 0.
    pub(super) column: usize,
    /// What it is, and what is allowed.
    pub(super) message: String,
    /// Whether the row shows that the file means something else than Tally does.
    pub(super) doubt: Option<RowDoubt>,
}

/// What a row means otherwise than Tally would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowDoubt {
    /// The id is a text for "no value".
    PlaceholderId,
    /// Money that is paid back as if it were a purchase of a negative amount.
    NegativePurchase,
}

impl Mistake {
    pub(super) fn new(column: usize, message: impl Into<String>) -> Self {
        Self { column, message: message.into(), doubt: None }
    }
}

/// Checks the names of the columns that become attributes or properties. The error is a sentence without
/// its subject, the file.
pub(super) fn check_names(columns: &[(usize, String)]) -> Result<(), String> {
    let bad = |name: &String| name.chars().count() > limits::WORD_CHARS || has_control(name);
    match columns.iter().find(|(_, name)| bad(name)) {
        Some((_, name)) => Err(format!(
            "has a column `{name}`; a name has at most {} characters and no control characters. Rename it, or \
             leave it out with --ignore",
            limits::WORD_CHARS
        )),
        None => Ok(()),
    }
}

/// An id, which is not empty and does not stand for "no value".
pub(super) fn id(record: &StringRecord, column: usize) -> Result<&str, Mistake> {
    let id = text(record, column, 1, limits::ID_CHARS)?;
    if is_placeholder(id) {
        let message = format!("`{id}` stands for no value; an id is required");
        return Err(Mistake { doubt: Some(RowDoubt::PlaceholderId), ..Mistake::new(column, message) });
    }
    Ok(id)
}

/// A short text without blanks at its ends and without control characters, of `least` to `most` characters.
pub(super) fn text(record: &StringRecord, column: usize, least: usize, most: usize) -> Result<&str, Mistake> {
    let text = trimmed(&record[column]);
    let message = if text.is_empty() && least > 0 {
        "is empty".to_owned()
    } else if text.len() > most && text.chars().count() > most {
        format!("has {} characters; allowed are up to {most}", text.chars().count())
    } else if has_control(text) {
        "has a control character; none is allowed".to_owned()
    } else {
        return Ok(text);
    };
    Err(Mistake::new(column, message))
}

/// The value of an attribute or property without blanks at its ends; empty means that there is none.
pub(super) fn value(record: &StringRecord, column: usize) -> Result<&str, Mistake> {
    let text = trimmed(&record[column]);
    let message = if text.len() > limits::VALUE_CHARS && text.chars().count() > limits::VALUE_CHARS {
        format!(
            "has {} characters; allowed are up to {}. --ignore leaves the column out",
            text.chars().count(),
            limits::VALUE_CHARS
        )
    } else if text.contains('\0') {
        "has the character U+0000, which is not allowed".to_owned()
    } else {
        return Ok(text);
    };
    Err(Mistake::new(column, message))
}

/// Reads numbers with a point or a comma before the decimals.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberReader {
    pub(super) decimal_comma: bool,
}

impl NumberReader {
    /// The number that a text is.
    pub(super) fn number(self, text: &str) -> Option<f64> {
        if !self.decimal_comma {
            return values::number(text);
        }
        if text.contains('.') { None } else { values::number(&text.replace(',', ".")) }
    }

    /// A text that is a number, as the server reads it.
    pub(super) fn with_point(self, text: &str) -> String {
        if self.decimal_comma { text.replace(',', ".") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> StringRecord {
        [text].into_iter().collect()
    }

    #[test]
    fn ids_are_trimmed_and_are_not_placeholders() {
        assert_eq!(id(&row("\u{feff} 17850\u{a0}"), 0), Ok("17850"));
        assert_eq!(id(&row("Null Island"), 0), Ok("Null Island"));
        for text in ["NULL", "nan", "#N/A", "\\N", "-", " None "] {
            assert_eq!(id(&row(text), 0).unwrap_err().doubt, Some(RowDoubt::PlaceholderId), "{text}");
        }
        for text in ["", " ", "\u{200b}", "a\u{7}"] {
            assert_eq!(id(&row(text), 0).unwrap_err().doubt, None, "{text:?}");
        }
    }

    #[test]
    fn limits_are_in_characters() {
        let longest = "客".repeat(limits::ID_CHARS);
        assert_eq!(id(&row(&longest), 0), Ok(longest.as_str()));
        assert!(id(&row(&format!("{longest}户")), 0).is_err());
        let longest = "客".repeat(limits::VALUE_CHARS);
        assert_eq!(value(&row(&longest), 0), Ok(longest.as_str()));
        assert!(value(&row(&format!("{longest}户")), 0).is_err());
        assert!(check_names(&[(0, "客".repeat(limits::WORD_CHARS))]).is_ok());
        assert!(check_names(&[(0, "客".repeat(limits::WORD_CHARS + 1))]).is_err());
    }

    #[test]
    fn numbers_may_have_a_comma() {
        let comma = NumberReader { decimal_comma: true };
        assert_eq!(
            [comma.number("12,5"), comma.number("1.250"), comma.number("7")],
            [Some(12.5), None, Some(7.0)]
        );
        assert_eq!(NumberReader::default().number("12,5"), None);
        assert_eq!(comma.with_point("12,5"), "12.5");
    }
}
