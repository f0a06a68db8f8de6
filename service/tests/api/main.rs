//! Black-box tests: through a real server on a free port, on SQLite and on PostgreSQL, and through
//! the real programs.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bad_input;
mod customers;
mod durability;
mod histories;
mod ingest;
mod interactions;
mod programs;
mod properties;
mod real_data;
mod registry;
mod replay;
mod retention;
mod scan;
mod scoring;
mod support;
mod warm;
mod watching;
