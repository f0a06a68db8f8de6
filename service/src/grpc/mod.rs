//! The gRPC services: parse, call, reply. One file a service.
//!
//! A new RPC: its messages in the proto, its method here in the file of its service, its limits in
//! [`crate::limits`], checked with [`parse::Validator`].

mod card;
pub mod connection;
pub mod customers;
mod encode;
pub mod interactions;
pub mod middleware;
pub mod models;
mod page;
pub mod page_token;
mod parse;
pub mod predictions;
mod registry;
mod reply;
pub mod scoring;
pub mod server;
mod watch;
