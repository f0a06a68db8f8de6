//! The programs that work on the database, `tally-serve` and `tally-train`, and the rooms they share.

pub mod app;
pub mod backup;
pub mod catalog;
pub mod config;
pub mod demo;
pub mod deployment;
pub mod failure;
pub mod grpc;
pub mod histories;
pub mod http;
pub mod ingest;
pub mod insight;
pub mod integrity;
pub mod jobs;
pub mod lifecycle;
pub mod listing;
pub mod monitoring;
pub mod platform;
pub mod report;
pub mod scoring;
pub mod security;
