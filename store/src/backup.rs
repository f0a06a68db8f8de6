//! Backups of a database.

use std::{io, path::PathBuf};

use crate::error::StoreError;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has programs of its own for this.
    #[error("a PostgreSQL database is backed up with pg_dump, or with the base backups of PostgreSQL itself")]
    Postgres,
    /// The file exists, and may be the only backup.
    #[error("{} exists already; name a file that does not", .0.display())]
    Exists(PathBuf),
    /// The file cannot be written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}
