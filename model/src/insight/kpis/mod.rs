//! Key figures of periods: what they mean, what a customer adds to them, and their values.
//!
//! A customer is read once, for all periods. Almost everything that it adds is a number at a moment: a figure of a period
//! is the sum over the moments within it, a figure at its end the sum over all moments before it. What has
//! to be counted once per customer and period, such as who bought in it, is counted per period.

mod counter;
mod counts;
mod figures;
mod metric;
mod spans;
#[cfg(test)]
mod tests;

pub use counter::{KpiCounter, KpiQuestion, kpi_interval};
pub use counts::KpiCounts;
pub use figures::{Figure, KpiFigures};
pub use metric::{KPI_METRICS, KpiMetric, KpiUnit};
pub use spans::KpiSpans;
