//! InsightService: the facts of customers, their segments, what they are worth, key figures, reports and forecasts.

mod affinities;
mod alerts;
mod episodes;
mod facts;
mod forecast;
mod jobs;
mod kpis;
mod range;
mod reports;
mod segments;
mod service;
mod value;
mod worklist;

pub(in crate::grpc) use alerts::response as alert_response;
pub(crate) use service::InsightRpc;
