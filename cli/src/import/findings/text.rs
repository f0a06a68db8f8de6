//! Findings for people.

use indicatif::HumanCount;

use super::{BadRows, ColumnReport, Finding, Findings, TableReport};
use crate::output::{counted, printable, table};

/// Kinds that are shown.
const KINDS: usize = 10;

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
            text.push_str(&format!("\n  kinds: {}", self.kinds_text()));
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

    fn kinds_text(&self) -> String {
        let shown = self.kinds.iter().take(KINDS);
        let mut texts: Vec<String> =
            shown.map(|(kind, count)| format!("{} {}", printable(kind), HumanCount(*count))).collect();
        if self.kinds.len() > KINDS {
            texts.push(format!("{} more", HumanCount((self.kinds.len() - KINDS) as u64)));
        }
        texts.join(", ")
    }
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
