//! How a database is opened.

use std::time::Duration;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct OpenOptions {
    /// Whether a SQLite database is created where there is none.
    pub create: bool,
    /// How many connections are open at most, at least 2; None for 16 to PostgreSQL and 5 to SQLite.
    pub connections: Option<u32>,
    /// How long to wait for a PostgreSQL that does not answer yet.
    pub wait: Duration,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { create: true, connections: None, wait: Duration::ZERO }
    }
}
