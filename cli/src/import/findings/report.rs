//! The results of the checks.

use csv::StringRecord;
use jiff::Timestamp;

use super::BadRows;
use crate::output::counted;

/// What the files contain, and what of it is doubtful.
#[derive(Default)]
pub(in crate::import) struct Findings {
    pub(in crate::import) tables: Vec<TableReport>,
    /// What would probably store something else than is meant.
    pub(in crate::import) doubts: Vec<Finding>,
    /// What is good to know.
    pub(in crate::import) notes: Vec<Finding>,
}

/// Something that the checks have found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Finding {
    /// For programs, in capitals.
    pub(in crate::import) code: &'static str,
    /// How many rows, ids or columns it concerns.
    pub(in crate::import) count: u64,
    /// For people: a sentence that names the file.
    pub(in crate::import) text: String,
}

impl Findings {
    pub(in crate::import) fn doubt(&mut self, code: &'static str, count: u64, text: String) {
        self.doubts.push(Finding { code, count, text });
    }

    pub(in crate::import) fn note(&mut self, code: &'static str, count: u64, text: String) {
        self.notes.push(Finding { code, count, text });
    }

    /// Adds the doubts that single rows raise.
    pub(in crate::import) fn add_doubts_of_rows(&mut self) {
        for n in 0..self.tables.len() {
            let TableReport { file, bad, .. } = &self.tables[n];
            let (placeholders, negative) = (bad.placeholder_ids, bad.negative_purchases);
            let file = file.clone();
            if placeholders > 0 {
                let text = format!(
                    "{file}: {} an id that stands for no value, such as NULL; all of them would be one customer",
                    counted(placeholders, "row has", "rows have")
                );
                self.doubt("PLACEHOLDER_IDS", placeholders, text);
            }
            if negative > 0 {
                let text = format!(
                    "{file}: {} a negative amount; money that is paid back is of the kind `return`, \
                     with a positive amount",
                    counted(negative, "purchase has", "purchases have")
                );
                self.doubt("NEGATIVE_PURCHASES", negative, text);
            }
        }
    }

    /// The number of rows that cannot be stored.
    pub(in crate::import) fn bad_rows(&self) -> u64 {
        self.tables.iter().map(|table| table.bad.count).sum()
    }

    /// Whether a row is bad for another reason than those that the doubts are about.
    pub(in crate::import) fn has_plainly_bad_rows(&self) -> bool {
        self.tables.iter().any(|table| table.bad.count > table.bad.doubtful())
    }
}

/// What a file contains.
pub(in crate::import) struct TableReport {
    pub(in crate::import) file: String,
    /// What a row is, in the plural.
    pub(in crate::import) items: &'static str,
    /// How the file was read.
    pub(in crate::import) source: String,
    /// Rows that can be stored.
    pub(in crate::import) rows: u64,
    pub(in crate::import) columns: Vec<ColumnReport>,
    /// The first and the last time at which an interaction happened.
    pub(in crate::import) span: Option<(Timestamp, Timestamp)>,
    /// Kinds of interactions with their counts, the most frequent first.
    pub(in crate::import) kinds: Vec<(String, u64)>,
    pub(in crate::import) bad: BadRows,
}

/// What a column contains.
pub(in crate::import) struct ColumnReport {
    pub(in crate::import) name: String,
    /// What Tally reads it as.
    pub(in crate::import) meaning: &'static str,
    pub(in crate::import) values: u64,
    pub(in crate::import) empty: u64,
    /// Texts that count as missing.
    pub(in crate::import) set_aside: u64,
    /// One of them.
    pub(in crate::import) example: Option<String>,
}

impl ColumnReport {
    /// The report of a column with a meaning of its own, which has `values` in `rows`.
    pub(in crate::import) fn known(name: &str, meaning: &'static str, values: u64, rows: u64) -> Self {
        let name = name.to_owned();
        Self { name, meaning, values, empty: rows - values, set_aside: 0, example: None }
    }
    /// The reports of the columns that are ignored.
    pub(in crate::import) fn ignored<'a>(
        header: &'a StringRecord,
        ignored: &'a [String],
    ) -> impl Iterator<Item = Self> + 'a {
        let names = header.iter().filter(|name| ignored.iter().any(|ignored| ignored == name));
        names.map(|name| Self::known(name, "ignored", 0, 0))
    }
}
