//! Exact sums of decimal numbers that are texts.

/// The sum of two decimal numbers, as text; an empty text is 0. `mark` stands before the decimals. None if one is
/// not a plain decimal number or the sum has more than 38 digits.
pub(super) fn sum(left: &str, right: &str, mark: char) -> Option<String> {
    let (left, right) = (Decimal::read(left, mark)?, Decimal::read(right, mark)?);
    let scale = left.scale.max(right.scale);
    let units = left.units_at(scale)?.checked_add(right.units_at(scale)?)?;
    Some(written(units, scale, mark))
}

/// `units` divided by 10 to the power of `scale`.
struct Decimal {
    units: i128,
    scale: u32,
}

impl Decimal {
    fn read(text: &str, mark: char) -> Option<Self> {
        let text = if text.is_empty() { "0" } else { text };
        let (digits, sign) = text.strip_prefix('-').map_or((text, 1), |digits| (digits, -1));
        let (whole, decimals) = digits.split_once(mark).unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return None;
        }
        let units: i128 = format!("{whole}{decimals}").parse().ok()?;
        Some(Self { units: sign * units, scale: u32::try_from(decimals.len()).ok()? })
    }

    fn units_at(&self, scale: u32) -> Option<i128> {
        self.units.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }
}

fn written(units: i128, scale: u32, mark: char) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = scale as usize;
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, decimals) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}{mark}{decimals}") }
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn sums_are_exact() {
        for (left, right, total) in [
            ("1", "2", "3"),
            ("0.1", "0.2", "0.3"),
            ("0.05", "-0.1", "-0.05"),
            ("", "7.50", "7.50"),
            ("-1", "1", "0"),
            ("99.99", "0.01", "100.00"),
        ] {
            assert_eq!(sum(left, right, '.').as_deref(), Some(total), "{left} + {right}");
        }
        assert_eq!(sum("1,5", "2", ',').as_deref(), Some("3,5"));
        for text in ["x", "1,5", "1e3", "--1", ".5", "1.2.3", "1 000"] {
            assert_eq!(sum(text, "1", '.'), None, "{text}");
        }
        assert_eq!(sum(&"9".repeat(38), &"9".repeat(39), '.'), None);
    }
}
