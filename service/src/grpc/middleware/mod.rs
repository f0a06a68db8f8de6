//! The middleware around every call: who may make it, its deadline, its span, its metrics, the check that its metadata has
//! an allowed size, and the contract's words for what tonic itself answers; within it, load shedding.

mod access;
mod audited;
mod call_metrics;
mod deadline;
mod metadata;
mod request_id;
mod service;
mod shedding;

pub(super) use access::AccessLayer;
pub(super) use audited::AuditLayer;
pub(super) use call_metrics::CallMetrics;
pub(super) use request_id::RequestId;
pub(super) use service::MiddlewareLayer;
pub use shedding::Capacity;
pub(super) use shedding::{LoadSheddingLayer, Reservation};
