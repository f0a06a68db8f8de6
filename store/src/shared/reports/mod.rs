//! Reports.
//!
//! The limits of periods are computed before, where time zones are known; statements get them as spans of time, which
//! have numbers from 0. Every report reads the interactions once: the rows that it needs of them are a materialised
//! `WITH` query, of which all of its sums are made.

mod campaigns;
mod cohorts;
mod sales;
mod spans;

pub(crate) use sales::SALES_SUMS;
pub(crate) use spans::united;

use async_trait::async_trait;
use tally_model::{
    insight::{ReportPeriod, Span},
    time::Time,
};

use super::{Backend, Engine, Stamp, Statement};
use crate::{
    error::Result,
    reports::{CampaignQuery, CampaignSums, Cohort, ReportStore, Sales, SalesQuery},
};

/// What differs between the databases.
pub(crate) trait ReportSql: Engine {
    /// What makes an expression of text compare byte by byte.
    const BYTEWISE: &'static str;

    /// Appends the source of the purchases and returns `i` in spans, which are in order and do not overlap: what
    /// follows `FROM`.
    fn push_sales(statement: &mut Statement, spans: &[Span]);

    /// Appends the condition that the purchase or return `i` is in one of the spans.
    fn push_in_spans(statement: &mut Statement, spans: &[Span]);

    /// Appends the number of the span of `i`.
    fn push_span_number(statement: &mut Statement, spans: &[Span]);

    /// Appends a `SELECT` of the sums of `sales`, as in [`SALES_SUMS`], by span, over all spans, and by span and value if
    /// there are values. `part`, `span` and `value` come first. Over all spans, money is 0: it would be that of spans which are only compared with,
    /// too, and 64 bits may not hold it.
    fn push_grouped_sales(statement: &mut Statement, by_value: bool);

    /// Appends a `SELECT` of rows of three numbers.
    fn push_numbers(statement: &mut Statement, rows: &[[i64; 3]]) -> Result<()>;

    /// Appends what is added to a moment to get the one some days later.
    fn push_days(statement: &mut Statement, days: i64);

    /// A key of a JSON object as an operand of `->` and `->>`.
    fn json_key(name: &str) -> String;
}

/// The customer of an interaction `i`, joined with [`MERGED`].
macro_rules! customer {
    () => {
        "coalesce(m.survivor_id, i.customer_id)"
    };
}
pub(crate) use customer;

/// Joins an interaction `i` of a merged id with the survivor. Hardly any id is merged, so that a small index has them.
pub(crate) const MERGED: &str =
    " LEFT JOIN customers AS m ON m.customer_id = i.customer_id AND m.survivor_id IS NOT NULL";

/// A sum as an integer of 64 bits. PostgreSQL sums such integers to numbers of any size and refuses to make a larger
/// one into such an integer; SQLite refuses to sum beyond it.
macro_rules! sum {
    ($amounts:literal) => {
        concat!("CAST(coalesce(sum(", $amounts, "), 0) AS BIGINT)")
    };
    ($amounts:literal, $condition:literal) => {
        concat!("CAST(coalesce(sum(", $amounts, ") FILTER (WHERE ", $condition, "), 0) AS BIGINT)")
    };
}
use sum;

#[async_trait]
impl<B: Backend> ReportStore for B {
    async fn first_purchase_time(&self) -> Result<Option<Time>> {
        // SQLite uses the index on both kinds only when its condition is there.
        let select = Statement::new(
            "SELECT min(occur_time) FROM interactions WHERE kind IN ('purchase', 'return') AND kind = 'purchase'",
        );
        let first: Option<(Option<Stamp>,)> = self.read_one(select).await?;
        Ok(first.and_then(|(time,)| time).map(|time| time.0))
    }

    async fn last_purchase_time(&self, before: Time) -> Result<Option<Time>> {
        let mut select = Statement::new(
            "SELECT max(occur_time) FROM interactions WHERE kind IN ('purchase', 'return') AND kind = 'purchase' \
             AND occur_time < ",
        );
        select.push_bind(before);
        let last: Option<(Option<Stamp>,)> = self.read_one(select).await?;
        Ok(last.and_then(|(time,)| time).map(|time| time.0))
    }

    async fn sales(&self, query: SalesQuery<'_>) -> Result<Sales> {
        sales::sales(self, query).await
    }

    async fn cohorts(&self, periods: &[ReportPeriod]) -> Result<Vec<Cohort>> {
        cohorts::cohorts(self, periods).await
    }

    async fn campaigns(&self, query: CampaignQuery) -> Result<Vec<CampaignSums>> {
        campaigns::campaigns(self, query).await
    }
}
