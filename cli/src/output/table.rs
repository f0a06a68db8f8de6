//! Tables.

use std::iter;

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use tally_terminal::wrapped;

/// Columns of the terminal that a table leaves free, since some are indented by two.
const MARGIN: usize = 2;
/// The fewest columns that a table is fitted into; on a narrower terminal lines wrap.
const NARROWEST: usize = 40;
/// The most columns of a narrow table; the line under its header takes one more.
const NARROW: usize = 99;

/// A table that reads well on a terminal and in a file: a line under the header and nothing else. The columns in
/// `numbers` are aligned to the right. In a file a table is as wide as it needs to be; on a terminal the last columns
/// become lines of their own below each row if there is no room for them.
pub(crate) fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let columns = tally_terminal::columns().map(|columns| columns.saturating_sub(MARGIN).max(NARROWEST));
    fitted(header, numbers, &rows, columns)
}

/// A table for texts of unknown length: in a file, too, the last columns become lines of their own if there is no room
/// for them in 100 columns.
pub(crate) fn narrow_table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    narrow(fitted(header, numbers, &rows, Some(narrow_columns())).lines())
}

/// Whether a narrow table has room for all columns beside each other.
pub(crate) fn fits(header: &[&str], rows: &[Vec<String>]) -> bool {
    columns_beside(header, rows, header.len(), narrow_columns()) == header.len()
}

/// How many columns a narrow table has for one more column at index `at` that takes no fewer than `least`: as many as the
/// others leave, and those of the last columns that become lines of their own anyway.
pub(crate) fn room(header: &[&str], rows: &[Vec<String>], at: usize, least: usize) -> usize {
    let columns = narrow_columns();
    let mut widths: Vec<usize> = (0..header.len()).map(|n| column_width(header, rows, n) + 2).collect();
    while widths.len() > at && widths.iter().sum::<usize>() + least > columns {
        widths.pop();
    }
    columns.saturating_sub(widths.iter().sum()).max(least)
}

/// Lines as long as a narrow table at most, broken at spaces.
pub(crate) fn narrow_text(text: &str) -> String {
    let lines: Vec<String> = text.lines().flat_map(|line| wrapped(line, narrow_columns())).collect();
    narrow(lines.iter().map(String::as_str))
}

/// Lines of which none is too long: an ellipsis stands for the rest of a word that is longer than a line.
fn narrow<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let columns = narrow_columns() + 1;
    lines.map(|line| tally_terminal::cut(line, columns)).collect::<Vec<_>>().join("\n")
}

fn narrow_columns() -> usize {
    let terminal = tally_terminal::columns().map(|columns| columns.saturating_sub(MARGIN).max(NARROWEST));
    terminal.map_or(NARROW, |columns| columns.min(NARROW))
}

fn fitted(header: &[&str], numbers: &[usize], rows: &[Vec<String>], columns: Option<usize>) -> String {
    // The last columns may have no names.
    let all = rows.iter().map(Vec::len).chain([header.len()]).max().unwrap_or_default();
    let beside = columns.map_or(all, |columns| columns_beside(header, rows, all, columns));
    let table = plain(header, numbers, rows, beside);
    let Some(columns) = columns.filter(|_| beside < all) else { return table };
    let mut lines = table.lines();
    let mut shown: Vec<String> = lines.by_ref().take(2).map(str::to_owned).collect();
    for row in rows {
        let height = row.iter().take(beside).map(|cell| cell.split('\n').count()).max();
        shown.extend(lines.by_ref().take(height.unwrap_or(1)).map(str::to_owned));
        shown.extend(details(header, row, beside, columns));
    }
    shown.join("\n")
}

/// How many of `all` columns have room beside each other; at least one.
fn columns_beside(header: &[&str], rows: &[Vec<String>], all: usize, columns: usize) -> usize {
    let mut end = 0;
    for n in 0..all {
        end += column_width(header, rows, n);
        if end > columns && n > 0 {
            return n;
        }
        // Between two columns are two spaces.
        end += 2;
    }
    all
}

/// The columns of the terminal that the widest cell of a column takes.
fn column_width(header: &[&str], rows: &[Vec<String>], n: usize) -> usize {
    let cell_width = |cell: &str| cell.split('\n').map(tally_terminal::width).max().unwrap_or_default();
    let cells = rows.iter().filter_map(|row| row.get(n)).map(|cell| cell_width(cell));
    let name = header.get(n).map(|name| cell_width(name));
    cells.chain(name).max().unwrap_or_default()
}

/// The first `beside` columns.
fn plain(header: &[&str], numbers: &[usize], rows: &[Vec<String>], beside: usize) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_header(header.iter().take(beside).copied());
    table.add_rows(rows.iter().map(|row| row.iter().take(beside)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// The cells that have no room beside the first ones, as indented lines: short ones beside each other, each with its
/// name; a cell of several lines without it.
fn details(header: &[&str], row: &[String], beside: usize, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let names = header.iter().copied().chain(iter::repeat(""));
    for (name, cell) in names.zip(row).skip(beside).filter(|(_, cell)| !cell.is_empty()) {
        if cell.contains('\n') {
            lines.extend(cell.lines().flat_map(|line| wrapped(&format!("  {line}"), columns)));
            lines.push(String::new());
            continue;
        }
        let item = if name.is_empty() { cell.clone() } else { format!("{name} {cell}") };
        let line = lines.last_mut().filter(|line| !line.is_empty());
        match line.filter(|line| tally_terminal::width(line) + 2 + tally_terminal::width(&item) <= columns) {
            Some(line) => line.push_str(&format!("  {item}")),
            None => lines.extend(wrapped(&format!("  {item}"), columns)),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 5] = ["customer", "probability", "as of", "model", "reasons"];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 5]| cells.map(str::to_owned).to_vec();
        vec![
            row([
                "C1",
                "0.7 %",
                "2026-06-30T00:00:00Z",
                "churn/7",
                "-0.94 21 purchases to be expected in the next 90 days",
            ]),
            row([
                "王小明",
                "12.0 %",
                "2026-06-30T00:00:00Z",
                "churn/7",
                "-0.94 Known\n-0.20 Bought on 83 days so far; typical is 1.7",
            ]),
            row(["C3", "3.0 %", "", "", ""]),
        ]
    }

    #[test]
    fn what_has_no_room_goes_to_lines_of_its_own() {
        insta::assert_snapshot!(fitted(&HEADER, &[1], &rows(), Some(48)), @r"
        customer  probability  as of
        ────────────────────────────────────────────
        C1              0.7 %  2026-06-30T00:00:00Z
          model churn/7
          reasons -0.94 21 purchases to be expected in
            the next 90 days
        王小明         12.0 %  2026-06-30T00:00:00Z
          model churn/7
          -0.94 Known
          -0.20 Bought on 83 days so far; typical is 1.7
        C3              3.0 %
        ");
        let narrow: Vec<&str> = HEADER.into_iter().take(1).collect();
        insta::assert_snapshot!(fitted(&narrow, &[1], &rows()[..1], Some(40)), @r"
        customer
        ──────────────────────────────────────
        C1        0.7 %  2026-06-30T00:00:00Z
          churn/7
          -0.94 21 purchases to be expected in
            the next 90 days
        ");
    }

    #[test]
    fn a_table_with_room_and_one_in_a_file_are_the_same() {
        let whole = fitted(&HEADER, &[1], &rows(), None);
        assert_eq!(fitted(&HEADER, &[1], &rows(), Some(200)), whole);
        insta::assert_snapshot!(whole, @r"
        customer  probability  as of                 model    reasons
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────
        C1              0.7 %  2026-06-30T00:00:00Z  churn/7  -0.94 21 purchases to be expected in the next 90 days
        王小明         12.0 %  2026-06-30T00:00:00Z  churn/7  -0.94 Known
                                                              -0.20 Bought on 83 days so far; typical is 1.7
        C3              3.0 %
        ");
    }

    #[test]
    fn a_narrow_table_takes_100_columns() {
        for (name, fitting) in [(86, true), (87, false)] {
            let (header, rows) = (["name", "probability"], vec![vec!["x".repeat(name), "1.0 %".to_owned()]]);
            assert_eq!(fits(&header, &rows), fitting);
            let text = narrow_table(&header, &[], rows);
            assert_eq!(text.contains("\n  probability"), !fitting, "{text}");
            assert!(text.lines().all(|line| tally_terminal::width(line) <= 100), "{text}");
        }
        let rows = vec![vec!["x".repeat(90), "12".to_owned()]];
        assert_eq!(room(&["", ""], &rows, 2, 0), 99 - 90 - 2 - 2 - 2);
        assert_eq!(narrow_text(&"word ".repeat(30)).lines().count(), 2);
        assert_eq!(narrow_text(&"w".repeat(101)), format!("{}…", "w".repeat(99)));
        let long = narrow_table(&["a", "b"], &[], [vec!["x".repeat(200), "y".repeat(200)]]);
        assert!(long.lines().all(|line| tally_terminal::width(line) <= 100), "{long}");
    }

    #[test]
    fn every_line_fits_and_names_stay_whole() {
        let id = "a-very-long-name-of-a-customer@example.org";
        let mut rows = rows();
        rows.push(
            [id, "1.0 %", "", "churn/7", &format!("{} for {id}", "a long reason ".repeat(9))]
                .map(str::to_owned)
                .to_vec(),
        );
        for columns in 44..160 {
            let text = fitted(&HEADER, &[1], &rows, Some(columns));
            assert!(text.lines().all(|line| tally_terminal::width(line) <= columns + 4), "{columns}: {text}");
            assert_eq!(text.matches(id).count(), 2, "{text}");
            assert!(text.matches("churn/7").count() == 3 && text.matches("typical").count() == 1, "{text}");
        }
    }
}
