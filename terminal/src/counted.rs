//! Numbers of things in sentences.

use indicatif::HumanCount;

/// A number of things, with separators between thousands: `1 customer`, `1,234 customers`. `one` and `many` may go on, as in
/// `row has` and `rows have`. The sign does not count.
#[must_use]
pub fn counted(number: impl Into<i128>, one: &str, many: &str) -> String {
    let number = number.into().unsigned_abs();
    let shown = HumanCount(u64::try_from(number).unwrap_or(u64::MAX));
    format!("{shown} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_in_the_singular() {
        let shown = |number: u64| counted(number, "row has", "rows have");
        assert_eq!([shown(0), shown(1), shown(1_234)], ["0 rows have", "1 row has", "1,234 rows have"]);
    }
}
