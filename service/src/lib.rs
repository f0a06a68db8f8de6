//! The programs of Tally: a server, a trainer, a command-line client, and the rooms they share.

pub mod app;
pub mod cache;
pub mod client;
pub mod config;
pub mod demo;
pub mod error;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod models;
pub mod preview;
pub mod progress;
pub mod registry;
pub mod replay;
pub mod report;
pub mod rpc;
pub mod score;
pub mod score_all;
pub mod server;
pub mod store;
pub mod sweep;
pub mod telemetry;
pub mod tokens;
pub mod train;
pub mod watch;
pub mod writers;
