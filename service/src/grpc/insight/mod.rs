//! InsightService: the facts of customers, their segments, what they are worth, key figures and reports.

mod affinities;
mod facts;
mod jobs;
mod kpis;
mod range;
mod reports;
mod segments;
mod service;
mod value;
mod worklist;

pub(crate) use service::InsightRpc;
