//! What a text means, the same at every door: CSV columns, requests, and JSON.

/// Texts that stand for "no value" in exports of databases, spreadsheets and data frames, in lower case.
const PLACEHOLDERS: [&str; 24] = [
    "nan",
    "-nan",
    "nat",
    "na",
    "<na>",
    "n/a",
    "#n/a",
    "#n/a n/a",
    "null",
    "<null>",
    "(null)",
    "[null]",
    "nil",
    "none",
    "undefined",
    "\\n",
    "?",
    "#na",
    "#null!",
    "#value!",
    "#div/0!",
    "#ref!",
    "#name?",
    "#num!",
];

/// Bytes of the longest placeholder.
const LONGEST_PLACEHOLDER: usize = 9;

/// The text without white space and invisible characters at its ends: all white space of Unicode, zero-width
/// characters, fillers, marks of the direction of writing, and the byte order mark.
///
/// ```
/// assert_eq!(tally_proto::values::trimmed("\u{feff} 17850\u{a0}"), "17850");
/// ```
#[must_use]
pub fn trimmed(text: &str) -> &str {
    match text.as_bytes() {
        // Nearly all texts; imports ask for several a row.
        [] => text,
        [first, .., last] if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim_matches(is_blank),
    }
}

fn is_blank(c: char) -> bool {
    // What Unicode calls default ignorable: soft hyphens, joiners, fillers, marks of the direction of writing, variation
    // selectors, byte order marks, tags; and the blank of Braille.
    let invisible = matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    invisible || c.is_whitespace()
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
    if !text.is_ascii() {
        return is_wide_placeholder(text);
    }
    // Few texts are as short and begin like one.
    text.len() <= LONGEST_PLACEHOLDER
        && text.bytes().next().is_some_and(begins_placeholder)
        && (PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder))
            || text.bytes().all(|byte| byte == b'-'))
}

/// Whether a text of other characters is one: dashes alone, or letters of full width.
fn is_wide_placeholder(text: &str) -> bool {
    /// From a letter of full width to that of ASCII.
    const WIDTH: u32 = '\u{ff01}' as u32 - '!' as u32;
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - WIDTH).unwrap_or(c),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        other => other,
    };
    // Bytes of a character of full width.
    text.len() <= 3 * LONGEST_PLACEHOLDER && {
        let text: String = text.chars().map(narrow).collect();
        text.is_ascii() && is_placeholder(&text)
    }
}

const fn begins_placeholder(byte: u8) -> bool {
    matches!(byte, b'n' | b'N' | b'u' | b'U' | b'-' | b'#' | b'<' | b'(' | b'[' | b'\\' | b'?')
}

/// Whether a text has a control character.
///
/// ```
/// use tally_proto::values::has_control;
///
/// assert!(has_control("a\u{7}") && has_control("\u{85}"));
/// assert!(!has_control("M\u{fc}ller"));
/// ```
#[must_use]
pub fn has_control(text: &str) -> bool {
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    !text.bytes().all(is_plain) && text.chars().any(char::is_control)
}

/// The number that a text is. Texts that are more than their number are not numbers: codes such as `007`, `+49` and
/// `1E3`, and integers of more digits than a number can hold. Neither are placeholders.
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
    /// Integers below this one, 2^53, have a number each.
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
    // Some databases write .5 for 0.5.
    let whole_is_fine = is_digits(whole) && (whole.len() == 1 || !whole.starts_with('0'));
    if !(whole_is_fine || whole.is_empty() && fraction.is_some()) || !fraction.is_none_or(is_digits) {
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
    let exact = exponent.is_some() || number.abs() < EXACT;
    // Adding 0 makes a negative zero positive.
    exact.then_some(number + 0.0)
}

/// The truth value that a text is: `true` or `false`, in any case.
///
/// ```
/// use tally_proto::values::boolean;
///
/// assert_eq!([boolean("TRUE"), boolean(" false "), boolean("yes")], [Some(true), Some(false), None]);
/// ```
#[must_use]
pub fn boolean(text: &str) -> Option<bool> {
    let text = trimmed(text);
    [true, false].into_iter().find(|truth| text.eq_ignore_ascii_case(if *truth { "true" } else { "false" }))
}

/// How many decimals the currency of an ISO 4217 code has, the power of ten of its minor unit: 2 for EUR, whose minor
/// unit is a cent, 0 for JPY. None for an unknown code.
///
/// ```
/// use tally_proto::values::currency_decimals;
///
/// assert_eq!([currency_decimals("EUR"), currency_decimals("JPY"), currency_decimals("KWD")], [Some(2), Some(0), Some(3)]);
/// assert_eq!([currency_decimals("euro"), currency_decimals("XXX")], [None; 2]);
/// ```
#[must_use]
pub fn currency_decimals(code: &str) -> Option<u8> {
    let has = |codes: &str| codes.split_ascii_whitespace().any(|listed| listed == code);
    CURRENCIES.iter().find(|(_, codes)| has(codes)).map(|(decimals, _)| *decimals)
}

/// The active currencies of ISO 4217 by the number of their decimals.
const CURRENCIES: [(u8, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
    (
        2,
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE \
         CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL \
         HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR \
         MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK \
         SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST \
         XCD XCG YER ZAR ZMW ZWG",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_at_the_ends_do_not_count() {
        for blank in [
            "",
            " ",
            "\t\r\n",
            "\u{a0}",
            "\u{3000}",
            "\u{2009}\u{202f}",
            "\u{200b}",
            "\u{feff}",
            "\u{202a}\u{202c}",
            "\u{3164}\u{115f}",
            "\u{2800}\u{fe0f}\u{34f}",
        ] {
            assert_eq!(trimmed(&format!("{blank}王 小明{blank}")), "王 小明", "{blank:?}");
            assert_eq!(trimmed(blank), "", "{blank:?}");
        }
        assert_eq!(trimmed("a\u{200b}b"), "a\u{200b}b", "inside it is content");
    }

    #[test]
    fn placeholders_are_short_and_begin_as_is_assumed() {
        assert_eq!(PLACEHOLDERS.iter().map(|text| text.len()).max(), Some(LONGEST_PLACEHOLDER));
        for text in PLACEHOLDERS {
            let first = text.bytes().next().unwrap();
            assert!(begins_placeholder(first) && begins_placeholder(first.to_ascii_uppercase()), "{text}");
        }
    }

    #[test]
    fn placeholders_are_whole_texts() {
        for text in [
            "NaN",
            "NULL",
            "None",
            "N/A",
            "#N/A",
            "undefined",
            "\\N",
            "-",
            "<NA>",
            "NA",
            " null ",
            "#DIV/0!",
            "--",
            "\u{2014}",
            "\u{2212}",
            "\u{2010}\u{2010}",
            "\u{ff0d}",
            "\u{ff2e}\u{ff0f}\u{ff21}",
            "#N/A N/A",
        ] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "",
            " ",
            "0",
            "Nancy",
            "none of these",
            "unknown",
            "nonexistent",
            "n",
            "N",
            "-1",
            "\u{ff2e}\u{ff0f}\u{ff21}\u{738b}",
            "\u{2014}\u{738b}",
            "\\",
            "Null, Ann",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }

    #[test]
    fn numbers_are_what_programs_write() {
        for (text, number_of_it) in [
            ("0", 0.0),
            ("-0", 0.0),
            ("7", 7.0),
            ("-7", -7.0),
            ("0.5", 0.5),
            (".5", 0.5),
            ("-.5", -0.5),
            ("5191.0", 5191.0),
            ("0.30000000000000004", 0.1 + 0.2),
            ("0.33333333333333333333", 1.0 / 3.0),
            ("1e-05", 1e-5),
            ("1.5E+20", 1.5e20),
            ("2e+3", 2000.0),
            ("\u{a0}12 ", 12.0),
            ("9007199254740991", 9_007_199_254_740_991.0),
        ] {
            assert_eq!(number(text), Some(number_of_it), "{text}");
        }
        for text in [
            "",
            " ",
            "-",
            ".",
            "1.",
            "-.",
            "007",
            "-01",
            "00",
            "00.5",
            "+5",
            "-+5",
            "--5",
            "1E3",
            "12e4",
            "1e999",
            "inf",
            "NaN",
            "Infinity",
            "1_000",
            "1,5",
            "1 000",
            "0x1f",
            "٣",
            "1.5.2",
            "1e",
            "1.5e",
            "9007199254740993",
            "9007199254740992",
            "9007199254740993.0",
            "4111111111111111111",
            "1.-5",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn currencies_have_the_decimals_of_iso_4217() {
        for (code, decimals) in [
            ("USD", Some(2)),
            ("CNY", Some(2)),
            ("HUF", Some(2)),
            ("MRU", Some(2)),
            ("KRW", Some(0)),
            ("ISK", Some(0)),
            ("TND", Some(3)),
            ("CLF", Some(4)),
            ("eur", None),
            ("", None),
            ("EU", None),
            ("EUR USD", None),
            ("DEM", None),
            ("XAU", None),
        ] {
            assert_eq!(currency_decimals(code), decimals, "{code}");
        }
        let codes: Vec<_> = CURRENCIES.iter().flat_map(|(_, codes)| codes.split_ascii_whitespace()).collect();
        assert!(
            codes.iter().all(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()))
        );
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len(), "each once");
    }
}
