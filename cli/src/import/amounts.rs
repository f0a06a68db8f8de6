//! Amounts of money: exact decimals of a file, and minor units of the contract.

use tally_proto::limits;

use crate::output::counted;

/// A decimal number: `digits` divided by 10 to the power of `decimals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    digits: i64,
    /// Without zeros at the end.
    pub(super) decimals: u8,
    /// Whether decimals are written, if only zeros.
    pub(super) fraction: bool,
}

impl Amount {
    /// Reads plain digits with decimals after `mark`. None for anything else, and for more decimals than any
    /// currency has.
    pub(super) fn read(text: &str, mark: char) -> Option<Self> {
        let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
        let (whole, part) =
            digits.split_once(mark).map_or((digits, None), |(whole, part)| (whole, Some(part)));
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !part.is_none_or(all_digits) {
            return None;
        }
        let part = part.map(|part| part.trim_end_matches('0'));
        let decimals = u8::try_from(part.map_or(0, str::len)).ok()?;
        if decimals > limits::AMOUNT_DECIMALS {
            return None;
        }
        let mut digits = whole.parse::<i64>().ok()?;
        for digit in part.unwrap_or_default().bytes() {
            digits = digits.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
        Some(Self { digits: sign * digits, decimals, fraction: part.is_some() })
    }

    /// The amount in minor units, of which 10 to the power of `decimals` are one. None if that is not a whole number
    /// or beyond the limit.
    pub(super) fn minor(self, decimals: u8) -> Option<i64> {
        let scale = 10_i64.pow(u32::from(decimals.checked_sub(self.decimals)?));
        self.digits.checked_mul(scale).filter(|minor| minor.abs() <= limits::AMOUNT_MINOR)
    }

    pub(super) const fn is_negative(self) -> bool {
        self.digits < 0
    }
}

/// How the amounts of a file become minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AmountReader {
    /// What stands before the decimals.
    pub(super) mark: char,
    /// With how many decimals. None until it is settled, by the deployment or by all amounts of the file.
    pub(super) decimals: Option<u8>,
}

impl AmountReader {
    /// Reads an amount. The error is a sentence without its subject, the column.
    pub(super) fn read(self, text: &str) -> Result<Amount, String> {
        let Some(amount) = Amount::read(text, self.mark) else { return Err(self.not_an_amount(text)) };
        match self.decimals {
            Some(decimals) if amount.decimals > decimals => Err(format!(
                "`{text}` has {}, but the deployment's currency has {decimals}",
                counted(amount.decimals, "decimal", "decimals")
            )),
            Some(decimals) if amount.minor(decimals).is_none() => Err(too_large(text)),
            // At least 2, since another row of the file may have them.
            None if amount.minor(amount.decimals.max(2)).is_none() => Err(too_large(text)),
            _ => Ok(amount),
        }
    }

    fn not_an_amount(self, text: &str) -> String {
        let (mark, other) = if self.mark == ',' { (',', '.') } else { ('.', ',') };
        let hint = if mark == '.' && Amount::read(text, ',').is_some() {
            "; --decimal-comma reads a comma as the decimal mark".to_owned()
        } else {
            format!(", without `{other}` or blanks between digits and without a currency")
        };
        format!("`{text}` is not an amount of money; write it as 1234{mark}50 or -3{hint}")
    }
}

/// The error of an amount beyond the limit.
pub(super) fn too_large(text: &str) -> String {
    format!("`{text}` is too large; allowed are up to {} minor units either way", limits::AMOUNT_MINOR)
}

/// What the amounts of a file are like.
#[derive(Debug, Default)]
pub(super) struct AmountStatistics {
    pub(super) count: u64,
    /// The most decimals that are not zeros at the end.
    decimals: u8,
    fraction: bool,
}

impl AmountStatistics {
    pub(super) fn add(&mut self, amount: Amount) {
        self.count += 1;
        self.decimals = self.decimals.max(amount.decimals);
        self.fraction |= amount.fraction;
    }

    /// The number of decimals that the amounts are meant to have: none if all are whole, and otherwise at least 2,
    /// since no currency has one and programs leave zeros at the end out.
    pub(super) fn decimals(&self) -> u8 {
        if self.fraction { self.decimals.max(2) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minor(text: &str, decimals: u8) -> Option<i64> {
        Amount::read(text, '.')?.minor(decimals)
    }

    #[test]
    fn amounts_are_exact() {
        for (text, decimals, units) in [
            ("0", 2, 0),
            ("-0", 2, 0),
            ("12", 2, 1_200),
            ("12.3", 2, 1_230),
            ("12.34", 2, 1_234),
            ("12.3400", 2, 1_234),
            ("-0.05", 2, -5),
            ("-3", 2, -300),
            ("007.50", 2, 750),
            ("0.29", 2, 29),
            ("500", 0, 500),
            ("500.00", 0, 500),
            ("1.234", 3, 1_234),
            ("0.0001", 4, 1),
            ("10000000000000.00", 2, 1_000_000_000_000_000),
            ("-10000000000000", 2, -1_000_000_000_000_000),
        ] {
            assert_eq!(minor(text, decimals), Some(units), "{text}");
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
            assert_eq!(minor(text, 2), None, "{text}");
        }
        assert_eq!(Amount::read("0.30000000000000004", '.'), None);
        assert_eq!(Amount::read("1250,5", ',').and_then(|amount| amount.minor(2)), Some(125_050));
        assert_eq!(Amount::read("1.250,5", ','), None);
    }

    #[test]
    fn a_file_shows_its_decimals() {
        for (texts, decimals) in [
            (&["500", "-3"][..], 0),
            (&["500", "3.5"], 2),
            (&["12.50", "3.00"], 2),
            (&["3.00"], 2),
            (&["12.5000"], 2),
            (&["1.234", "1"], 3),
            (&[], 0),
        ] {
            let mut statistics = AmountStatistics::default();
            texts.iter().filter_map(|text| Amount::read(text, '.')).for_each(|amount| statistics.add(amount));
            assert_eq!(statistics.decimals(), decimals, "{texts:?}");
        }
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let reader = AmountReader { mark: '.', decimals: Some(2) };
        assert!(reader.read("12,50").unwrap_err().contains("--decimal-comma"));
        assert!(!reader.read("1,250.00").unwrap_err().contains("--decimal-comma"));
        assert!(reader.read("1.234").unwrap_err().contains("currency has 2"));
        assert!(reader.read("10000000000000.01").unwrap_err().contains("too large"));
        assert!(AmountReader { decimals: None, ..reader }.read("1.234").is_ok());
    }
}
