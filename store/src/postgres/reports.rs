//! Reports: spans of time in as an array of their limits, in which each sale is searched for.

use tally_model::insight::Span;

use super::Postgres;
use crate::{
    error::Result,
    shared::{
        SqlValue, Statement,
        reports::{ReportSql, united},
    },
};

/// The sums of rows of `sales` by span, without the money of those over all spans.
const SPAN_SUMS: &str = "CASE grouping(span) WHEN 0 THEN CAST(coalesce(sum(revenue), 0) AS BIGINT) ELSE 0 END AS revenue, \
     CASE grouping(span) WHEN 0 THEN CAST(coalesce(sum(returns), 0) AS BIGINT) ELSE 0 END AS returns, \
     count(buyer) AS orders, count(DISTINCT buyer) AS customers FROM sales";

impl ReportSql for Postgres {
    const BYTEWISE: &'static str = " COLLATE \"C\"";

    fn push_sales(statement: &mut Statement, _: &[Span]) {
        statement.push("interactions AS i");
    }

    fn push_in_spans(statement: &mut Statement, spans: &[Span]) {
        statement.push("(");
        for (n, span) in united(spans).into_iter().enumerate() {
            statement.push(if n == 0 { "i.occur_time >= " } else { " OR i.occur_time >= " });
            statement.push_bind(span.start).push(" AND i.occur_time < ").push_bind(span.end);
        }
        statement.push(")");
    }

    /// Of the limits, 2 n + 1 lie at or before a moment in span n: those of the spans before, and its own start.
    fn push_span_number(statement: &mut Statement, spans: &[Span]) {
        let limits = spans.iter().flat_map(|span| [span.start, span.end]).collect();
        statement.push("CAST((width_bucket(i.occur_time, ").push_bind(SqlValue::Times(limits));
        statement.push(") - 1) / 2 AS BIGINT)");
    }

    /// One sort serves all of them.
    fn push_grouped_sales(statement: &mut Statement, by_value: bool) {
        statement
            .push(match by_value {
                true => "SELECT grouping(span, value) AS part, span, value, ",
                false => "SELECT 2 * grouping(span) + 1 AS part, span, NULL AS value, ",
            })
            .push(SPAN_SUMS)
            .push(match by_value {
                true => " GROUP BY GROUPING SETS ((span, value), (span), ())",
                false => " GROUP BY GROUPING SETS ((span), ())",
            });
    }

    fn push_numbers(statement: &mut Statement, rows: &[[i64; 3]]) -> Result<()> {
        let rows = SqlValue::json(&rows)?;
        statement
            .push(
                "SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT) \
                 FROM jsonb_array_elements(",
            )
            .push_bind(rows)
            .push(") AS numbers (value)");
        Ok(())
    }

    /// Not as days, whose length depends on the time zone of the session.
    fn push_days(statement: &mut Statement, days: i64) {
        statement.push_bind(days).push(" * INTERVAL '24 hours'");
    }

    fn json_key(name: &str) -> String {
        name.to_owned()
    }
}
