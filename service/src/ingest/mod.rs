//! Ingest: how customers and interactions enter.

pub mod write_barrier;
