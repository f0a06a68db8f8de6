//! Numbers of things in sentences.

use std::fmt::Display;

/// A number of things: `1 snapshot`, `2000 snapshots`. `one` and `many` may go on, as in `row has` and `rows have`.
#[must_use]
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let thing = if number == N::from(1) { one } else { many };
    format!("{number} {thing}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_in_the_singular() {
        let shown = |number: i64| counted(number, "row has", "rows have");
        assert_eq!([shown(0), shown(1), shown(2_000)], ["0 rows have", "1 row has", "2000 rows have"]);
    }
}
