//! InsightService: the facts of customers, their segments, key figures and reports.

mod facts;
mod kpis;
mod range;
mod reports;
mod segments;
mod service;

pub(crate) use service::InsightRpc;
