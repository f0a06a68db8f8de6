//! Checks of a database as a whole.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Result;

/// What a check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructureReport {
    /// What is damaged, as the database says it; at most a few lines. Empty when nothing is.
    pub problems: Vec<String>,
    /// Whether everything was looked at, false when the time was up before.
    pub complete: bool,
}

/// Checks databases.
#[async_trait]
pub trait IntegrityStore: Send + Sync {
    /// Checks the structure of the database, for at most this time: in SQLite, that every page in use is as it must be,
    /// but not that indexes have what their tables have nor what free pages hold, and that references between tables
    /// hold; in PostgreSQL, that no index or constraint is left invalid and
    /// that no page had a wrong checksum.
    ///
    /// # Errors
    /// When the database cannot be read at all.
    async fn check_structure(&self, within: Option<Duration>) -> Result<StructureReport>;
}
