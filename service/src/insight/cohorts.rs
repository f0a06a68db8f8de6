//! Cohorts: how many of the customers who first bought in a period bought again in those after it.

use tally_model::insight::{ReportPeriod, Span};
use tally_store::CohortSums;

use super::{Insights, ROWS, ratio};
use crate::platform::error::{Error, Result};

/// A cohort in a period.
pub struct CohortLine {
    /// The period in which its customers first bought, as far as it is within the report.
    pub cohort: Span,
    /// How many periods after that.
    pub index: usize,
    /// The period, as far as it is within the report.
    pub period: Span,
    /// Whether not all of the period counts.
    pub partial: bool,
    /// The customers of the cohort.
    pub customers: i64,
    /// What they did in the period.
    pub sums: CohortSums,
    /// The share of them who bought in the period.
    pub retention: Option<f64>,
}

impl Insights {
    /// The cohorts of these periods, each in its own period and those after it. A period in which nobody first bought
    /// has no cohort.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when there may be too many rows; FAILED_PRECONDITION (SUM_TOO_LARGE) when 64 bits do not hold a
    /// sum; when the store fails.
    pub async fn cohorts(&self, periods: &[ReportPeriod]) -> Result<Vec<CohortLine>> {
        let most = periods.len() * (periods.len() + 1) / 2;
        if most > ROWS {
            return Err(Error::invalid(
                "from_time",
                format!(
                    "the cohorts of {} periods have up to {most} rows; allowed are {ROWS}, so choose longer periods \
                     or a shorter range",
                    periods.len()
                ),
            ));
        }
        let cohorts = self.store.cohorts(periods).await?;
        let mut lines = Vec::new();
        for (first, cohort) in cohorts.into_iter().enumerate().filter(|(_, cohort)| cohort.customers > 0) {
            let of_cohort = &periods[first..];
            for (index, (period, sums)) in of_cohort.iter().zip(cohort.periods).enumerate() {
                lines.push(CohortLine {
                    cohort: periods[first].counted,
                    index,
                    period: period.counted,
                    partial: period.partial,
                    customers: cohort.customers,
                    sums,
                    retention: ratio(sums.active, cohort.customers),
                });
            }
        }
        Ok(lines)
    }
}
