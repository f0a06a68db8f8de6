//! InsightService.

mod facts;
mod kpis;
mod reports;
mod segments;
