//! Columns of texts of others, as wide as there is room.

use super::{format::DASH, table::room};
use crate::output::cut;

/// The fewest columns of a name.
const NARROWEST: usize = 8;

/// Inserts a column of texts at index `at` of a narrow table, cut to the room that there is, but to no fewer than `least`
/// columns; with less room, the last columns become lines of their own.
pub(crate) fn insert_texts<'a>(
    header: &mut Vec<&'a str>,
    rows: &mut [Vec<String>],
    (at, name): (usize, &'a str),
    least: usize,
    texts: impl IntoIterator<Item = &'a str>,
) {
    let columns = room(header, rows, at, least);
    header.insert(at, name);
    for (row, text) in rows.iter_mut().zip(texts) {
        row.insert(at, cut(text, columns));
    }
}

/// Inserts the names of customers beside their ids, which are the first column, and returns how many columns these are:
/// none where nobody has a name.
pub(crate) fn insert_names<'a>(
    header: &mut Vec<&'a str>,
    rows: &mut [Vec<String>],
    names: impl Iterator<Item = &'a str> + Clone,
) -> usize {
    if names.clone().all(str::is_empty) {
        return 0;
    }
    let named = names.map(|name| if name.is_empty() { DASH } else { name });
    insert_texts(header, rows, (1, "name"), NARROWEST, named);
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_wide_as_there_is_room() {
        let long = "Ada Augusta King, Countess of Lovelace";
        for (other, shown) in [(20, long), (66, "Ada Augusta King, Co…"), (79, "Ada Aug…"), (90, long)] {
            let mut header = vec!["customer", "other"];
            let row = |id: &str| vec![id.to_owned(), "x".repeat(other)];
            let mut rows = vec![row("C1"), row("C2")];
            assert_eq!(insert_names(&mut header, &mut rows, [long, ""].into_iter()), 1);
            assert_eq!(header, ["customer", "name", "other"]);
            assert_eq!([rows[0][1].as_str(), rows[1][1].as_str()], [shown, DASH], "{other}");
        }
    }

    #[test]
    fn names_that_nobody_has_take_no_room() {
        let (mut header, mut rows) = (vec!["customer"], vec![vec!["C1".to_owned()]]);
        assert_eq!(insert_names(&mut header, &mut rows, [""].into_iter()), 0);
        assert_eq!((header, rows), (vec!["customer"], vec![vec!["C1".to_owned()]]));
    }
}
