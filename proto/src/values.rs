//! What a text means, the same at every door: CSV columns, requests, and JSON.

/// Texts that stand for "no value" in exports of databases, spreadsheets and data frames, in lower case.
const PLACEHOLDERS: [&str; 9] = ["nan", "null", "none", "n/a", "#n/a", "undefined", "\\n", "-", "<na>"];

/// The text without white space and invisible characters at its ends: all white space of Unicode, zero-width
/// characters, and the byte order mark.
///
/// ```
/// assert_eq!(tally_proto::values::trimmed("\u{feff} 17850\u{a0}"), "17850");
/// ```
#[must_use]
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// Whether a text stands for "no value", such as `NULL`, `NaN` or `N/A`.
///
/// ```
/// use tally_proto::values::is_placeholder;
///
/// assert!(is_placeholder("NULL") && is_placeholder(" n/a "));
/// assert!(!is_placeholder("") && !is_placeholder("Nancy"));
/// ```
#[must_use]
pub fn is_placeholder(text: &str) -> bool {
    let text = trimmed(text);
    PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder))
}

/// The number that a text is, if writing the number gives the text again. Codes such as `007`, `+49`, `1E3` and
/// integers of more digits than a number can hold are not numbers; neither are placeholders.
///
/// ```
/// use tally_proto::values::number;
///
/// assert_eq!(number("12.50"), Some(12.5));
/// assert_eq!(number("1e-05"), Some(0.00001));
/// assert_eq!([number("007"), number("+1"), number("1E3"), number("12345678901234567890")], [None; 4]);
/// ```
#[must_use]
pub fn number(text: &str) -> Option<f64> {
    /// Integers up to this size, 2^53, have a number each.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = trimmed(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (digits, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !fraction.is_none_or(is_digits) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    // Programs write a fraction or a sign with an exponent; without both it is a code such as 1E3.
    if let Some(exponent) = exponent
        && fraction.is_none()
        && !exponent.starts_with(['-', '+'])
    {
        return None;
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let exact = fraction.is_some() || exponent.is_some() || number.abs() <= EXACT;
    // Adding 0 makes a negative zero positive.
    exact.then_some(number + 0.0)
}
