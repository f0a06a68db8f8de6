//! Black-box tests: through a real server on a free port, on SQLite and on PostgreSQL, and through the real
//! programs. The folders are those of `service/src`: a test lies with the room whose promise it checks.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod catalog;
mod grpc;
mod histories;
mod ingest;
mod insight;
mod jobs;
mod lifecycle;
mod limits;
mod monitoring;
mod programs;
mod real_data;
mod report;
mod scoring;
mod security;
mod support;
