//! The middleware around every call: who may make it, its deadline, its span, its metrics, the check that a unary call has
//! one message and metadata of an allowed size, and the contract's words for what tonic itself answers.

mod access;
mod call_metrics;
mod deadline;
mod metadata;
mod request_id;
mod service;
mod single_message;

pub(super) use access::AccessLayer;
pub(super) use call_metrics::CallMetrics;
pub(super) use service::MiddlewareLayer;
