//! The gRPC services: parse, call a use case, reply. One file a service.
//!
//! To add an RPC: write its messages in the proto, its limits in [`tally_proto::limits`], its method here
//! in the file of its service, with checks by [`Validator`](convert::validator::Validator) and a use case
//! of its room behind it.

mod connection;
mod convert;
pub(crate) mod customers;
pub(crate) mod interactions;
mod middleware;
pub(crate) mod models;
pub mod page_token;
pub(crate) mod predictions;
mod readiness;
pub(crate) mod scoring;
pub mod server;
mod status;
