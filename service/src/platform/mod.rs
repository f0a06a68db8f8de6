//! The platform: what every room may use and that knows none of them.

pub mod actor;
pub mod blocking;
pub mod clock;
pub mod error;
pub mod file_descriptors;
mod log_lines;
pub mod memory;
pub mod metrics;
pub mod progress;
pub mod readiness;
pub mod shutdown;
pub mod supervisor;
pub mod telemetry;
