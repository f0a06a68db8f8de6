//! Sales by period, and by channel, property or attribute.

use std::cmp::Reverse;

use tally_model::insight::{ReportPeriod, Span, growth, sales_warning};
use tally_store::{Dimension, SalesQuery, SalesSums, ValueSums};

use super::{Insights, ROWS};
use crate::platform::error::{Error, Result};

/// Which sales are reported, and how they are divided.
pub struct SalesRequest<'a> {
    /// From when to when.
    pub range: Span,
    /// The periods of the range.
    pub periods: &'a [ReportPeriod],
    /// None for sales by period alone.
    pub dimension: Option<Dimension>,
    /// How many values have rows of their own.
    pub values: usize,
}

/// Sales by period and value.
pub struct SalesReport {
    /// By period, then greatest revenue first; the row of all values without rows of their own is the last of its
    /// period.
    pub rows: Vec<SalesLine>,
    /// One a period.
    pub period_totals: Vec<SalesLine>,
    /// Over all periods.
    pub total: SalesLine,
    /// What makes the growth questionable, and a dimension of which there is no value.
    pub warnings: Vec<String>,
}

/// A row of a sales report.
#[derive(Clone, Debug, PartialEq)]
pub struct SalesLine {
    /// The part of the period within the report, or the range of the report.
    pub span: Span,
    /// Whether not all of the period counts.
    pub partial: bool,
    /// The value of the dimension; empty where it is missing.
    pub value: String,
    /// Whether the row is of all values without rows of their own.
    pub is_other: bool,
    /// The sums.
    pub sums: SalesSums,
    /// Growth of the revenue since the previous period.
    pub growth_previous: Option<f64>,
    /// Growth of the revenue since the period of the year before.
    pub growth_year_before: Option<f64>,
}

impl SalesLine {
    fn of_period(period: &ReportPeriod, value: Option<String>, sums: SalesSums) -> Self {
        let growth = |compared: Option<Span>, then| compared.and_then(|_| growth(sums.revenue_minor, then));
        Self {
            span: period.counted,
            partial: period.partial,
            is_other: value.is_none(),
            value: value.unwrap_or_default(),
            sums,
            growth_previous: growth(period.previous, sums.previous_minor),
            growth_year_before: growth(period.year_before, sums.year_before_minor),
        }
    }
}

/// Rows by period, then greatest revenue first, then by value.
fn rows(periods: &[ReportPeriod], mut values: Vec<ValueSums>) -> Vec<SalesLine> {
    values.sort_by(|a, b| {
        let order = |of: &ValueSums| (of.period, of.value.is_none(), Reverse(of.sums.revenue_minor));
        order(a).cmp(&order(b)).then_with(|| a.value.cmp(&b.value))
    });
    let line = |of: ValueSums| Some(SalesLine::of_period(periods.get(of.period)?, of.value, of.sums));
    values.into_iter().filter_map(line).collect()
}

impl Insights {
    /// Purchases and returns by period, and by the values of a dimension.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when there are too many rows; FAILED_PRECONDITION (SUM_TOO_LARGE) when 64 bits do not hold a
    /// sum; when the store fails.
    pub async fn sales(&self, request: SalesRequest<'_>) -> Result<SalesReport> {
        let SalesRequest { range, periods, dimension, values } = request;
        let query = SalesQuery { periods, dimension: dimension.as_ref(), values, limit: ROWS + 1 };
        let sales = self.store.sales(query).await?;
        if sales.values.len() > ROWS {
            return Err(Error::invalid(
                "max_values",
                format!(
                    "the report has more than {ROWS} rows; allowed are {ROWS}, so choose fewer values, longer \
                     periods or a shorter range"
                ),
            ));
        }
        let period_totals: Vec<SalesLine> = periods
            .iter()
            .zip(sales.periods)
            .map(|(period, sums)| SalesLine::of_period(period, Some(String::new()), sums))
            .collect();
        let rows = match dimension {
            None => period_totals.clone(),
            Some(_) => rows(periods, sales.values),
        };
        let total = SalesLine {
            span: range,
            partial: false,
            value: String::new(),
            is_other: false,
            sums: sales.total,
            growth_previous: None,
            growth_year_before: None,
        };
        let growth = sales_warning(periods, self.first_purchase().await?);
        let warnings = growth.into_iter().chain(without_value(dimension.as_ref(), &rows)).collect();
        Ok(SalesReport { rows, period_totals, total, warnings })
    }
}

/// The warning that no purchase or return has a value of the dimension, whose name may be wrong.
fn without_value(dimension: Option<&Dimension>, rows: &[SalesLine]) -> Option<String> {
    if rows.is_empty() || rows.iter().any(|line| line.is_other || !line.value.is_empty()) {
        return None;
    }
    match dimension? {
        Dimension::Channel => None,
        Dimension::Property(name) => Some(format!(
            "no purchase or return of these periods has the property `{name}`: is the name right?"
        )),
        Dimension::Attribute(name) => Some(format!(
            "no customer had the attribute `{name}` at a purchase or return of these periods: is the name right? \
             `tally insights attributes` lists those that customers have"
        )),
    }
}
