//! Findings for programs.

use serde_json::{Value, json};

use super::{Finding, Findings, TableReport};

impl Findings {
    /// The findings as an object.
    pub(in crate::import) fn json(&self) -> Value {
        json!({
            "files": self.tables.iter().map(TableReport::json).collect::<Vec<_>>(),
            "doubts": self.doubts.iter().map(Finding::json).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

impl Finding {
    fn json(&self) -> Value {
        json!({"code": self.code, "count": self.count, "text": self.text})
    }
}

impl TableReport {
    fn json(&self) -> Value {
        let columns = self.columns.iter().map(|column| {
            json!({
                "name": column.name, "read_as": column.meaning, "values": column.values, "empty": column.empty,
                "set_aside": column.set_aside, "example": column.example,
            })
        });
        let bad = self
            .bad
            .first
            .iter()
            .map(|error| json!({"line": error.line, "column": error.column, "reason": error.message}));
        let kinds: serde_json::Map<String, Value> =
            self.kinds.iter().map(|(kind, count)| (kind.clone(), json!(count))).collect();
        json!({
            "file": self.file,
            "items": self.items,
            "source": self.source,
            "rows": self.rows,
            "columns": columns.collect::<Vec<_>>(),
            "first_occur_time": self.span.map(|(first, _)| first.to_string()),
            "last_occur_time": self.span.map(|(_, last)| last.to_string()),
            "kinds": kinds,
            "bad_rows": {"count": self.bad.count, "first": bad.collect::<Vec<_>>()},
        })
    }
}
