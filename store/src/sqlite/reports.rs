//! Reports: spans of time in by `json_each`, each of which is found in the index on the times of sales.

use tally_model::{insight::Span, time::DAY};

use super::Sqlite;
use crate::{
    error::Result,
    shared::{
        SqlValue, Statement,
        reports::{ReportSql, SALES_SUMS},
    },
};

/// The starts and ends of spans in turn.
fn limits(spans: &[Span]) -> SqlValue {
    SqlValue::Times(spans.iter().flat_map(|span| [span.start, span.end]).collect())
}

impl ReportSql for Sqlite {
    /// All text does.
    const BYTEWISE: &'static str = "";

    /// Spans come first: the planner of SQLite never changes the order of a CROSS JOIN.
    fn push_sales(statement: &mut Statement, spans: &[Span]) {
        statement
            .push(
                "(SELECT key / 2 AS span, key % 2 AS is_end, value AS start_time, \
                 lead(value) OVER (ORDER BY key) AS end_time FROM json_each(",
            )
            .push_bind(limits(spans))
            .push(")) AS s CROSS JOIN interactions AS i INDEXED BY interactions_sales");
    }

    fn push_in_spans(statement: &mut Statement, _: &[Span]) {
        statement.push("s.is_end = 0 AND i.occur_time >= s.start_time AND i.occur_time < s.end_time");
    }

    fn push_span_number(statement: &mut Statement, _: &[Span]) {
        statement.push("s.span");
    }

    fn push_grouped_sales(statement: &mut Statement, by_value: bool) {
        if by_value {
            statement
                .push("SELECT 0 AS part, span, value, ")
                .push(SALES_SUMS)
                .push(" GROUP BY span, value UNION ALL ");
        }
        statement
            .push("SELECT 1 AS part, span, NULL AS value, ")
            .push(SALES_SUMS)
            .push(" GROUP BY span UNION ALL SELECT 3, NULL, NULL, 0, 0, count(buyer), count(DISTINCT buyer) FROM sales");
    }

    fn push_numbers(statement: &mut Statement, rows: &[[i64; 3]]) -> Result<()> {
        let rows = SqlValue::json(&rows)?;
        statement
            .push("SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(")
            .push_bind(rows)
            .push(")");
        Ok(())
    }

    fn push_days(statement: &mut Statement, days: i64) {
        statement.push_bind(days * DAY);
    }

    /// A path with the key as a string of JSON, since `->` takes some plain keys for paths or for numbers.
    fn json_key(name: &str) -> String {
        format!("$.{}", serde_json::Value::from(name))
    }
}
