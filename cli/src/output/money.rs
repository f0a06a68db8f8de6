//! Amounts of money in the currency of the deployment.

use tally_proto::v1::GetDeploymentResponse;

use super::{DASH, count, printable};

/// How amounts of minor units are shown: with two decimals where nothing is known of the currency.
pub(crate) struct Currency {
    /// Empty if none is set.
    code: String,
    decimals: u32,
}

impl Currency {
    /// The currency of a deployment.
    pub(crate) fn of(deployment: &GetDeploymentResponse) -> Self {
        let decimals = deployment.amount_decimals.and_then(|decimals| u32::try_from(decimals).ok());
        Self { code: printable(&deployment.currency), decimals: decimals.unwrap_or(2) }
    }

    /// An amount alone: `1,234.56`.
    pub(crate) fn amount(&self, minor: i64) -> String {
        let of_one = 10_u64.saturating_pow(self.decimals);
        let (whole, part) = (minor.unsigned_abs() / of_one, minor.unsigned_abs() % of_one);
        let sign = if minor < 0 { "-" } else { "" };
        let width = self.decimals as usize;
        let part = if width > 0 { format!(".{part:0width$}") } else { String::new() };
        format!("{sign}{}{part}", count(whole as i64))
    }

    /// A mean or another quotient of amounts, to the minor unit, or a dash.
    pub(crate) fn mean(&self, minor: Option<f64>) -> String {
        minor.map_or_else(|| DASH.to_owned(), |minor| self.amount(minor.round() as i64))
    }

    /// An amount, or a dash.
    pub(crate) fn optional(&self, minor: Option<i64>) -> String {
        minor.map_or_else(|| DASH.to_owned(), |minor| self.amount(minor))
    }

    /// Says in which currency the amounts of a table are, if one is set.
    pub(crate) fn note(&self) -> Option<String> {
        (!self.code.is_empty()).then(|| format!("amounts in {}", self.code))
    }

    /// An amount with the code of the currency: `1,234.56 EUR`.
    pub(crate) fn money(&self, minor: i64) -> String {
        let amount = self.amount(minor);
        if self.code.is_empty() { amount } else { format!("{amount} {}", self.code) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str, amount_decimals: Option<i32>) -> Currency {
        let currency = code.to_owned();
        Currency::of(&GetDeploymentResponse { currency, amount_decimals, ..Default::default() })
    }

    #[test]
    fn a_table_says_its_currency_once() {
        let (euro, none) = (currency("EUR", Some(2)), currency("", None));
        assert_eq!([euro.note(), none.note()], [Some("amounts in EUR".to_owned()), None]);
        assert_eq!(
            [euro.mean(Some(1_234.5)), euro.mean(Some(-0.2)), euro.mean(None)],
            ["12.35", "0.00", "–"]
        );
    }

    #[test]
    fn money_has_the_decimals_of_the_currency() {
        let shown = |minor, code: &str, amount_decimals| currency(code, amount_decimals).money(minor);
        assert_eq!(shown(-123_456, "", None), "-1,234.56");
        assert_eq!(shown(123_456, "EUR", Some(2)), "1,234.56 EUR");
        assert_eq!(shown(123_456, "JPY", Some(0)), "123,456 JPY");
        assert_eq!(shown(-56, "KWD", Some(3)), "-0.056 KWD");
    }
}
