//! Numbers in sentences.

use std::fmt::Display;

/// A number of things: `1 snapshot`, `2000 snapshots`. `one` and `many` may go on, as in `row has` and `rows have`.
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let thing = if number == N::from(1) { one } else { many };
    format!("{number} {thing}")
}

/// Two numbers with so many decimals, or as many more as show that they differ.
#[must_use]
pub fn apart(numbers: [f64; 2], decimals: usize) -> [String; 2] {
    /// The decimals that a float of the size of 1 has.
    const MOST: usize = 17;
    let with = |decimals: usize| numbers.map(|number| format!("{number:.decimals$}"));
    (decimals..MOST).map(with).find(|[one, other]| one != other).unwrap_or_else(|| with(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_differ_look_different() {
        assert_eq!(apart([0.45, 0.46], 4), ["0.4500", "0.4600"]);
        assert_eq!(apart([0.450_001, 0.450_002], 4), ["0.450001", "0.450002"]);
        assert_eq!(apart([0.45, 0.45], 4), ["0.4500", "0.4500"]);
    }

    #[test]
    fn one_thing_is_in_the_singular() {
        let shown = |number: i64| counted(number, "row has", "rows have");
        assert_eq!([shown(0), shown(1), shown(2_000)], ["0 rows have", "1 row has", "2000 rows have"]);
    }
}
