//! Findings for people.

use indicatif::HumanCount;

use super::{BadRows, ColumnReport, Finding, Findings, TableReport};
use crate::output::{counted, printable, table};

/// The most kinds that are all shown, and how many of more are.
const ALL_KINDS: usize = 15;
const FIRST_KINDS: usize = 10;

impl Findings {
    /// What the files contain, and what is good to know about it.
    pub(in crate::import) fn contents(&self) -> String {
        let mut parts: Vec<String> = self.tables.iter().map(TableReport::text).collect();
        parts.extend(self.notes.iter().map(|note| format!("note: {}", note.text)));
        parts.join("\n")
    }

    /// The doubts, one a line.
    pub(in crate::import) fn doubts_text(&self) -> String {
        let line = |doubt: &Finding| format!("\n  {}", doubt.text);
        self.doubts.iter().map(line).collect()
    }

    /// The bad rows of all files, one a line.
    pub(in crate::import) fn bad_rows_text(&self) -> String {
        self.tables.iter().map(|table| table.bad.text()).collect()
    }
}

impl BadRows {
    /// The first bad rows and how many more there are, one a line.
    pub(in crate::import) fn text(&self) -> String {
        let mut lines: Vec<String> = self.first.iter().map(|error| format!("\n  {error}")).collect();
        if self.not_shown() > 0 {
            lines.push(format!("\n  … and {}", counted(self.not_shown(), "more bad row", "more bad rows")));
        }
        lines.concat()
    }
}

impl TableReport {
    fn text(&self) -> String {
        let Self { file, items, source, rows, span, .. } = self;
        // Both names of items have a plural in s.
        let items = counted(*rows, items.trim_end_matches('s'), items);
        let mut text = format!("{file}: {items}, {source}");
        if self.bad.count > 0 {
            text.push_str(&format!("; {}", counted(self.bad.count, "bad row", "bad rows")));
        }
        if let Some((first, last)) = span {
            text.push_str(&format!("\n  from {first} to {last}"));
        }
        if !self.kinds.is_empty() {
            text.push_str(&format!("\n  kinds: {}", kinds_text(&self.kinds)));
        }
        let columns = table(
            &["column", "read as", "values", "empty", "set aside"],
            &[2, 3],
            self.columns.iter().map(row),
        );
        for line in columns.lines() {
            text.push_str(&format!("\n  {line}"));
        }
        text
    }
}

/// Kinds with how often each occurs; of many only the first.
fn kinds_text(kinds: &[(String, u64)]) -> String {
    let shown = if kinds.len() > ALL_KINDS { FIRST_KINDS } else { kinds.len() };
    let shown_kinds = kinds.iter().take(shown);
    let mut texts: Vec<String> =
        shown_kinds.map(|(kind, count)| format!("{} {}", printable(kind), HumanCount(*count))).collect();
    if kinds.len() > shown {
        texts.push(format!("{} more", HumanCount((kinds.len() - shown) as u64)));
    }
    texts.join(", ")
}

fn row(column: &ColumnReport) -> Vec<String> {
    let set_aside = match &column.example {
        _ if column.set_aside == 0 => String::new(),
        Some(example) => {
            let example: String = printable(example).chars().take(40).collect();
            format!("{}, such as `{example}`", HumanCount(column.set_aside))
        }
        None => HumanCount(column.set_aside).to_string(),
    };
    let empty = if column.empty == 0 { String::new() } else { HumanCount(column.empty).to_string() };
    let values = HumanCount(column.values).to_string();
    vec![printable(&column.name), column.meaning.to_owned(), values, empty, set_aside]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_all_shown_unless_they_are_many() {
        let kinds: Vec<(String, u64)> = (1..=16).map(|n| (format!("k{n}"), 1_000)).collect();
        let all = kinds_text(&kinds[..15]);
        assert!(all.starts_with("k1 1,000, k2 1,000, ") && all.ends_with(", k15 1,000"), "{all}");
        let first = kinds_text(&kinds);
        assert!(first.ends_with(", k10 1,000, 6 more"), "{first}");
    }
}
