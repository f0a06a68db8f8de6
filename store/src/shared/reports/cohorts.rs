//! Cohorts: the customers who first bought in the same period, and what they do in the periods after it.

use sqlx::FromRow;
use tally_model::{
    insight::{ReportPeriod, Span},
    time::Time,
};

use super::{MERGED, ReportSql, customer, sum};
use crate::{
    error::Result,
    reports::{Cohort, CohortSums},
    shared::{Engine, Statement},
};

/// The customers who first bought in one span, in another.
#[derive(FromRow)]
struct CohortRow {
    cohort: i64,
    span: i64,
    active: i64,
    revenue: i64,
    returns: i64,
}

/// The spans of a table of cohorts: the time before its range, in which others bought first, and its periods.
struct CohortSpans {
    spans: Vec<Span>,
    /// The number of the first period.
    first: i64,
}

impl CohortSpans {
    fn new(periods: &[ReportPeriod]) -> Self {
        let start = periods.first().map_or(Time::MIN, |period| period.counted.start);
        let before = Some(Span { start: Time::MIN, end: start }).filter(|span| span.start < span.end);
        let first = i64::from(before.is_some());
        let spans = before.into_iter().chain(periods.iter().map(|period| period.counted)).collect();
        Self { spans, first }
    }

    /// The place of the period of a span.
    fn period(&self, span: i64) -> usize {
        usize::try_from(span - self.first).unwrap_or(0)
    }
}

pub(super) async fn cohorts<E: ReportSql + Engine>(
    store: &E,
    periods: &[ReportPeriod],
) -> Result<Vec<Cohort>> {
    let empty = |n| Cohort { customers: 0, periods: vec![CohortSums::default(); periods.len() - n] };
    let mut cohorts: Vec<Cohort> = (0..periods.len()).map(empty).collect();
    let spans = CohortSpans::new(periods);
    if periods.is_empty() {
        return Ok(cohorts);
    }
    for row in store.read::<CohortRow>(select::<E>(&spans)).await? {
        let (first, period) = (spans.period(row.cohort), spans.period(row.span));
        let Some(cohort) = cohorts.get_mut(first) else { continue };
        if row.span == row.cohort {
            // All of them bought there.
            cohort.customers = row.active;
        }
        if let Some(sums) = cohort.periods.get_mut(period - first) {
            let CohortRow { active, revenue: revenue_minor, returns: returns_minor, .. } = row;
            *sums = CohortSums { active, revenue_minor, returns_minor };
        }
    }
    Ok(cohorts)
}

/// Spans have numbers in the order of time, so that the least one with a purchase has the first purchase.
fn select<E: ReportSql>(CohortSpans { spans, first }: &CohortSpans) -> Statement {
    let mut statement = Statement::new("WITH cells AS MATERIALIZED (SELECT customer, span, ").planned_anew();
    statement.push(concat!(
        sum!("amount_minor", "kind = 'purchase'"),
        " AS revenue, ",
        sum!("amount_minor", "kind = 'return'"),
        " AS returns, count(*) FILTER (WHERE kind = 'purchase') AS orders FROM (SELECT ",
        customer!(),
        " AS customer, i.kind, i.amount_minor, "
    ));
    E::push_span_number(&mut statement, spans);
    statement.push(" AS span FROM ");
    E::push_sales(&mut statement, spans);
    statement.push(MERGED).push(" WHERE i.kind IN ('purchase', 'return') AND ");
    E::push_in_spans(&mut statement, spans);
    statement
        .push(concat!(
            // Without a join, which a database that has just been filled would plan badly.
            ") AS sales GROUP BY customer, span), \
             placed AS (SELECT span, revenue, returns, orders, \
             min(CASE WHEN orders > 0 THEN span END) OVER (PARTITION BY customer) AS cohort FROM cells) \
             SELECT cohort, span, count(*) FILTER (WHERE orders > 0) AS active, ",
            sum!("revenue"),
            " AS revenue, ",
            sum!("returns"),
            " AS returns FROM placed WHERE span >= cohort AND cohort >= "
        ))
        .push_bind(*first)
        .push(" GROUP BY cohort, span");
    statement
}
