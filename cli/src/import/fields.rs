//! Single fields of a row: their checks and their values.

use csv::StringRecord;
use jiff::Timestamp;
use tally_proto::limits;

use super::reader::Mistake;
use crate::time::parse;

/// Checks the names of the columns that become attributes or properties. The error is a sentence without
/// its subject, the file.
pub(super) fn check_names(columns: &[(usize, String)]) -> Result<(), String> {
    let bad = |name: &String| name.chars().count() > limits::WORD_CHARS || name.chars().any(char::is_control);
    match columns.iter().find(|(_, name)| bad(name)) {
        Some((_, name)) => Err(format!(
            "has a column `{name}`; a name has at most {} characters and no control characters",
            limits::WORD_CHARS
        )),
        None => Ok(()),
    }
}

/// An id or another short text without control characters, of `least` to `most` characters.
pub(super) fn text(
    record: &StringRecord,
    column: usize,
    least: usize,
    most: usize,
) -> Result<String, Mistake> {
    let text = &record[column];
    let count = text.chars().count();
    let message = if count < least {
        "is empty".to_owned()
    } else if count > most {
        format!("has {count} characters; allowed are up to {most}")
    } else if text.chars().any(char::is_control) {
        "has a control character; none is allowed".to_owned()
    } else {
        return Ok(text.to_owned());
    };
    Err(Mistake { column, message })
}

/// The value of an attribute or property; empty means that there is none.
pub(super) fn value(record: &StringRecord, column: usize) -> Result<&str, Mistake> {
    let text = &record[column];
    let count = text.chars().count();
    let message = if count > limits::VALUE_CHARS {
        format!("has {count} characters; allowed are up to {}", limits::VALUE_CHARS)
    } else if text.contains('\0') {
        "has the character U+0000, which is not allowed".to_owned()
    } else {
        return Ok(text);
    };
    Err(Mistake { column, message })
}

/// A time that is not after `latest`.
pub(super) fn time(record: &StringRecord, column: usize, latest: Timestamp) -> Result<Timestamp, Mistake> {
    let time = parse(&record[column]).map_err(|error| Mistake { column, message: format!("{error}") })?;
    if time > latest {
        return Err(Mistake { column, message: format!("{time} is more than one day in the future") });
    }
    Ok(time)
}

/// An amount of money in minor units; empty means none.
pub(super) fn amount(record: &StringRecord, column: usize) -> Result<Option<i64>, Mistake> {
    let text = &record[column];
    if text.is_empty() {
        return Ok(None);
    }
    let message = || {
        format!(
            "`{text}` is not an amount of money; allowed are digits with up to 2 decimals after a point, such as \
             1234.50 or -3, up to 10,000,000,000,000 either way"
        )
    };
    amount_minor(text).map(Some).ok_or_else(|| Mistake { column, message: message() })
}

/// Decimal money in minor units, exactly.
fn amount_minor(text: &str) -> Option<i64> {
    let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || !all_digits(decimals) || decimals.len() > 2 {
        return None;
    }
    let tens = if decimals.len() == 1 { 10 } else { 1 };
    let minor = whole.parse::<i64>().ok()?.checked_mul(100)? + decimals.parse::<i64>().ok()? * tens;
    (minor <= limits::AMOUNT_MINOR).then_some(sign * minor)
}

/// A finite number.
pub(super) fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A finite number that is not written like a code: with a plus, or with a leading zero such as 007.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.first() == Some(&b'+') || (digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit())
    {
        return None;
    }
    finite(text)
}

/// True or false.
pub(super) fn boolean(text: &str) -> Option<bool> {
    [true, false].into_iter().find(|truth| text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (text, minor) in [
            ("0", 0),
            ("-0", 0),
            ("12", 1_200),
            ("12.3", 1_230),
            ("12.34", 1_234),
            ("-0.05", -5),
            ("-3", -300),
            ("007.50", 750),
            ("0.29", 29),
            ("10000000000000.00", 1_000_000_000_000_000),
            ("-10000000000000", -1_000_000_000_000_000),
        ] {
            assert_eq!(amount_minor(text), Some(minor), "{text}");
        }
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1.234",
            "1e5",
            "+5",
            "--5",
            "1,5",
            "1 000",
            " 1",
            "1.-5",
            "1.+5",
            "€5",
            "٣",
            "NaN",
            "inf",
            "10000000000000.01",
            "92233720368547758.07",
            "99999999999999999999",
        ] {
            assert_eq!(amount_minor(text), None, "{text}");
        }
    }

    #[test]
    fn codes_are_not_numbers() {
        for text in ["0", "-0", "0.5", "-0.5", "10", "1e5", ".5", "-7"] {
            assert!(number(text).is_some(), "{text}");
        }
        for text in ["007", "-01", "00", "+5", "-+5", "inf", "NaN", "1e999", "1_000", "0x1f", " 1", ""] {
            assert!(number(text).is_none(), "{text}");
        }
    }
}
