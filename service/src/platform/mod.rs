//! The platform: what every room may use and that knows none of them.

pub mod error;
pub mod metrics;
pub mod progress;
pub mod telemetry;
