//! Money as the texts of alerts have it.

/// How amounts of minor units are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyFormat {
    /// The code of the currency, if one is set.
    pub currency: Option<String>,
    /// How many decimals it has.
    pub decimals: u8,
}

impl MoneyFormat {
    /// An amount with separators between thousands and the code of the currency: `1,234.56 EUR`.
    ///
    /// ```
    /// use tally_model::insight::alert::MoneyFormat;
    ///
    /// let euro = MoneyFormat { currency: Some("EUR".to_owned()), decimals: 2 };
    /// assert_eq!(euro.money(-123_456_789), "-1,234,567.89 EUR");
    /// ```
    #[must_use]
    pub fn money(&self, minor: i64) -> String {
        let of_one = 10_u64.saturating_pow(self.decimals.into());
        let (whole, part) = (minor.unsigned_abs() / of_one, minor.unsigned_abs() % of_one);
        let digits = whole.to_string();
        let mut text = if minor < 0 { "-".to_owned() } else { String::new() };
        for (n, digit) in digits.chars().enumerate() {
            if n > 0 && (digits.len() - n) % 3 == 0 {
                text.push(',');
            }
            text.push(digit);
        }
        let width = usize::from(self.decimals);
        if width > 0 {
            text.push_str(&format!(".{part:0width$}"));
        }
        match &self.currency {
            None => text,
            Some(code) => format!("{text} {code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        for (minor, currency, decimals, wanted) in [
            (0, None, 2, "0.00"),
            (-123_456, None, 2, "-1,234.56"),
            (99_999, Some("EUR"), 2, "999.99 EUR"),
            (123_456, Some("JPY"), 0, "123,456 JPY"),
            (-56, Some("KWD"), 3, "-0.056 KWD"),
            (i64::MIN, None, 0, "-9,223,372,036,854,775,808"),
        ] {
            let format = MoneyFormat { currency: currency.map(str::to_owned), decimals };
            assert_eq!(format.money(minor), wanted);
        }
    }
}
