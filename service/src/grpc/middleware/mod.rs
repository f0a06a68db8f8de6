//! The middleware around every call: its deadline, its span, its metrics, the check that a unary call has
//! one message and metadata of an allowed size, and the contract's words for what tonic itself answers.

mod call_metrics;
mod deadline;
mod metadata;
mod request_id;
mod service;
mod single_message;

pub(super) use call_metrics::CallMetrics;
pub(super) use service::MiddlewareLayer;
