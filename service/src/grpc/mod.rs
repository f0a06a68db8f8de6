//! The gRPC services: parse, call a use case, reply. One file a service.
//!
//! To add an RPC: write its messages in the proto, its limits in [`tally_proto::limits`], its method here
//! in the file of its service, its checks by `convert::validator`, and behind it a use case in the room that
//! it belongs to.

mod accept;
mod audit;
mod backlog;
mod caller;
mod connection;
mod convert;
pub(crate) mod customers;
pub(crate) mod deployment;
mod export;
mod http2;
pub(crate) mod insight;
pub(crate) mod interactions;
mod middleware;
pub(crate) mod models;
pub mod page_token;
pub(crate) mod predictions;
mod readiness;
pub(crate) mod scoring;
pub mod server;
mod status;
