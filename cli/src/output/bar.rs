//! Bars of block characters beside numbers in tables.

use std::iter;

use super::table::room;

/// Blocks of one to eight eighths of a column.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// The widest and the narrowest column of bars. A bar of fewer columns shows no differences.
const WIDEST: usize = 20;
const NARROWEST: usize = 4;

/// Inserts a column of bars without a name at index `at` of a narrow table, as wide as the other columns leave room
/// for. The shares are from 0 to 1; rows without one have no bar.
pub(crate) fn insert_bars(
    header: &mut Vec<&str>,
    rows: &mut [Vec<String>],
    at: usize,
    shares: impl IntoIterator<Item = Option<f64>>,
) {
    let columns = room(header, rows, at, NARROWEST).min(WIDEST);
    header.insert(at, "");
    for (row, share) in rows.iter_mut().zip(shares.into_iter().chain(iter::repeat(None))) {
        row.insert(at, share.map(|share| bar(share, columns)).unwrap_or_default());
    }
}

/// A bar that takes this share of the columns, to an eighth of a column. Only nothing has none.
pub(crate) fn bar(share: f64, columns: usize) -> String {
    if share.is_nan() || share <= 0.0 {
        return String::new();
    }
    let eighths = ((share.min(1.0) * (columns * 8) as f64).round() as usize).max(1);
    let rest = (eighths % 8).checked_sub(1).and_then(|n| EIGHTHS.get(n));
    "█".repeat(eighths / 8).chars().chain(rest.copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_takes_its_share_of_the_columns() {
        for (share, shown) in [
            (1.0, "██████████"),
            (0.5, "█████"),
            (0.55, "█████▌"),
            (0.99, "█████████▉"),
            (0.0125, "▏"),
            (1e-9, "▏"),
            (2.0, "██████████"),
            (0.0, ""),
            (-0.5, ""),
            (f64::NAN, ""),
        ] {
            assert_eq!(bar(share, 10), shown, "{share}");
        }
    }

    #[test]
    fn bars_are_as_wide_as_there_is_room() {
        for (name, columns) in [(60, 20), (82, 15), (93, 4), (99, 4)] {
            let (mut header, mut rows) = (vec!["name"], vec![vec!["x".repeat(name)], vec![String::new()]]);
            insert_bars(&mut header, &mut rows, 1, [Some(1.0)]);
            assert_eq!(rows[0][1], "█".repeat(columns), "{name}");
            assert_eq!((header, rows[1][1].as_str()), (vec!["name", ""], ""));
        }
    }
}
