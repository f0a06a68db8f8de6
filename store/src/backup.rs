//! Backups of a database.

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;

use crate::error::{Result, StoreError};

/// Backs up databases that are open.
#[async_trait]
pub trait BackupStore: Send + Sync {
    /// The file of the database; None when it is not SQLite's.
    fn file(&self) -> Option<&Path>;

    /// Copies the database as [`backup`](crate::backup()) does.
    ///
    /// # Errors
    /// As there.
    async fn back_up(&self, file: &Path) -> Result<(), BackupError>;
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// PostgreSQL has programs of its own for this.
    #[error(
        "a PostgreSQL database is backed up with `pg_dump --format=custom --file=FILE` and the URL of the database, or \
         with the base backups of PostgreSQL itself"
    )]
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
