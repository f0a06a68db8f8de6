//! Sales by period, and by channel, property or attribute.

use sqlx::FromRow;

use super::{MERGED, ReportSql, customer, spans::ReportSpans, sum};
use crate::{
    error::{Result, StoreError},
    reports::{Dimension, Sales, SalesQuery, SalesSums, ValueSums},
    shared::{Engine, Statement},
};

// What the sums of a row are about. A bit says of which column, value or span, the sums are over all, as in `grouping`
// of PostgreSQL.
const VALUE: i64 = 0b00;
const PERIOD: i64 = 0b01;
const TOTAL: i64 = 0b11;
/// All values together that have no rows of their own.
const OTHERS: i64 = 0b10;

/// The sums of the rows of `sales`.
pub(crate) const SALES_SUMS: &str = concat!(
    sum!("revenue"),
    " AS revenue, ",
    sum!("returns"),
    " AS returns, count(buyer) AS orders, count(DISTINCT buyer) AS customers FROM sales"
);

#[derive(FromRow)]
struct SalesRow {
    part: i64,
    period: Option<i64>,
    value: Option<String>,
    revenue: i64,
    returns: i64,
    orders: i64,
    customers: i64,
    previous: i64,
    year_before: i64,
}

impl SalesRow {
    const fn sums(&self) -> SalesSums {
        SalesSums {
            revenue_minor: self.revenue,
            returns_minor: self.returns,
            orders: self.orders,
            customers: self.customers,
            previous_minor: self.previous,
            year_before_minor: self.year_before,
        }
    }
}

pub(super) async fn sales<E: ReportSql + Engine>(store: &E, query: SalesQuery<'_>) -> Result<Sales> {
    let periods = vec![SalesSums::default(); query.periods.len()];
    let mut sales = Sales { values: Vec::new(), periods, total: SalesSums::default() };
    if query.periods.is_empty() {
        return Ok(sales);
    }
    for row in store.read::<SalesRow>(select::<E>(query)?).await? {
        let sums = row.sums();
        if row.part == TOTAL {
            sales.total = sums;
            continue;
        }
        let period = row.period.and_then(|period| usize::try_from(period).ok()).unwrap_or(usize::MAX);
        match (row.part, sales.periods.get_mut(period)) {
            (PERIOD, Some(of_period)) => *of_period = sums,
            (VALUE | OTHERS, Some(_)) => sales.values.push(ValueSums { period, value: row.value, sums }),
            _ => return Err(StoreError::Internal(format!("sales of a period {period} that does not exist"))),
        }
    }
    Ok(sales)
}

/// All sums in one statement: by period and value, by period and all other values together, by period, and over all
/// periods.
fn select<E: ReportSql>(query: SalesQuery<'_>) -> Result<Statement> {
    let found = ReportSpans::new(query.periods);
    let by_value = query.dimension.is_some();
    let mut statement = Statement::new("WITH ").planned_anew();
    push_sales::<E>(&mut statement, query.dimension, &found);
    statement.push(", grouped AS MATERIALIZED (");
    E::push_grouped_sales(&mut statement, by_value);
    statement.push("), roles (span, period, role) AS (");
    E::push_numbers(&mut statement, &found.roles)?;
    statement.push("), ");
    if by_value {
        push_listed(&mut statement, found.first_counted, query.values);
    }
    statement.push("sums AS (SELECT * FROM grouped WHERE part = ").push_bind(PERIOD);
    if by_value {
        push_values(&mut statement);
    }
    statement.push(") ");
    push_rows(&mut statement, &found, query);
    Ok(statement)
}

/// Appends `sales`, a row for each purchase and return. Only a purchase that counts, and is not just compared with, has
/// a `buyer`.
fn push_sales<E: ReportSql>(
    statement: &mut Statement,
    dimension: Option<&Dimension>,
    ReportSpans { spans, first_counted, .. }: &ReportSpans,
) {
    if let Some(Dimension::Attribute(name)) = dimension {
        push_stated::<E>(statement, name);
    }
    statement.push("sales AS MATERIALIZED (SELECT ");
    E::push_span_number(statement, spans);
    statement.push(
        " AS span, CASE i.kind WHEN 'purchase' THEN i.amount_minor END AS revenue, \
         CASE i.kind WHEN 'return' THEN i.amount_minor END AS returns, \
         CASE WHEN i.kind = 'purchase'",
    );
    let counted_from = usize::try_from(*first_counted).ok().and_then(|first| spans.get(first));
    if let Some(counted) = counted_from {
        statement.push(" AND i.occur_time >= ").push_bind(counted.start);
    }
    statement.push(concat!(" THEN ", customer!(), " END AS buyer"));
    if let Some(dimension) = dimension {
        statement.push(", coalesce(");
        match dimension {
            Dimension::Channel => statement.push("i.channel"),
            Dimension::Property(name) => {
                statement.push("i.properties ->> ").push_bind(E::json_key(name).as_str())
            }
            Dimension::Attribute(_) => statement.push("v.value"),
        };
        statement.push(", '')").push(E::BYTEWISE).push(" AS value");
    }
    statement.push(" FROM ");
    E::push_sales(statement, spans);
    statement.push(MERGED);
    if let Some(Dimension::Attribute(_)) = dimension {
        statement.push(concat!(
            " LEFT JOIN stated AS v ON v.customer_id = ",
            customer!(),
            " AND v.start_time <= i.occur_time AND (v.end_time IS NULL OR i.occur_time < v.end_time)"
        ));
    }
    statement.push(" WHERE i.kind IN ('purchase', 'return') AND ");
    E::push_in_spans(statement, spans);
    statement.push(")");
}

/// Appends `stated`, the values of an attribute with the times at which they hold: from the time of their version on,
/// until a later version takes effect. Numbers are as serde wrote them, so that no database formats them; not all versions
/// of serde write a `+`.
fn push_stated<E: ReportSql>(statement: &mut Statement, name: &str) {
    let key = E::json_key(name);
    statement
        .push(
            "stated AS MATERIALIZED (SELECT customer_id, start_time, end_time, \
             CASE WHEN document LIKE '\"%' THEN content \
             WHEN document LIKE '%.0' THEN substr(document, 1, length(document) - 2) \
             ELSE replace(document, 'e+', 'e') END AS value \
             FROM (SELECT customer_id, effective_time AS start_time, \
             min(effective_time) OVER (PARTITION BY customer_id ORDER BY version \
             ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS end_time, CAST(attributes -> ",
        )
        .push_bind(key.as_str())
        .push(" AS TEXT) AS document, attributes ->> ")
        .push_bind(key.as_str())
        .push(" AS content FROM customer_versions) AS versions), ");
}

/// Appends `listed`, the values that have rows of their own.
fn push_listed(statement: &mut Statement, first_counted: i64, values: usize) {
    statement
        .push("listed AS MATERIALIZED (SELECT value FROM grouped WHERE part = ")
        .push_bind(VALUE)
        .push(" AND span >= ")
        .push_bind(first_counted)
        .push(" GROUP BY value ORDER BY sum(revenue) DESC, value LIMIT ")
        .push_bind(values as i64)
        .push("), ");
}

/// Appends to `sums` those of the listed values and those of all others together. When there are no others, nobody
/// reads all sales for them once more.
fn push_values(statement: &mut Statement) {
    statement
        .push(
            " UNION ALL SELECT grouped.* FROM grouped JOIN listed ON listed.value = grouped.value WHERE part = ",
        )
        .push_bind(VALUE)
        .push(" UNION ALL SELECT ")
        .push_bind(OTHERS)
        .push(", span, NULL, ")
        .push(SALES_SUMS)
        .push(
            " WHERE EXISTS (SELECT 1 FROM grouped WHERE value NOT IN (SELECT value FROM listed)) \
             AND value NOT IN (SELECT value FROM listed) GROUP BY span",
        );
}

/// Appends the rows that are returned: sums of spans as sums of periods, each beside those of what it is compared with.
/// A value has a row where it counts, not where it is only compared with.
fn push_rows(statement: &mut Statement, found: &ReportSpans, query: SalesQuery<'_>) {
    statement
        .push(concat!(
            "SELECT CAST(part AS BIGINT) AS part, period, value, ",
            sum!("revenue", "role = 0"),
            " AS revenue, ",
            sum!("returns", "role = 0"),
            " AS returns, ",
            sum!("orders", "role = 0"),
            " AS orders, ",
            sum!("customers", "role = 0"),
            " AS customers, ",
            sum!("revenue", "role = 1"),
            " AS previous, ",
            sum!("revenue", "role = 2"),
            " AS year_before FROM sums JOIN roles ON roles.span = sums.span GROUP BY part, period, value \
             HAVING part = "
        ))
        .push_bind(PERIOD)
        .push(" OR count(*) FILTER (WHERE role = 0) > 0 UNION ALL SELECT ")
        .push_bind(TOTAL)
        .push(concat!(
            ", NULL, NULL, ",
            sum!("revenue", "is_period"),
            ", ",
            sum!("returns", "is_period"),
            ", ",
            sum!("orders", "is_period"),
            ", ",
            sum!("customers", "NOT is_period"),
            ", 0, 0 FROM (SELECT grouped.*, part = "
        ))
        .push_bind(PERIOD)
        .push(" AS is_period FROM grouped WHERE part = ")
        .push_bind(PERIOD)
        .push(" AND span >= ")
        .push_bind(found.first_counted)
        .push(" OR part = ")
        .push_bind(TOTAL)
        .push(") AS totals")
        .push(" LIMIT ")
        // The other rows are not counted as sums by value, whichever come first.
        .push_bind((query.limit + query.periods.len() + 1) as i64);
}
