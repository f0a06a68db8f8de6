//! A copy of a database that may be in use.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{Sqlite, TIMEOUT, must_exist};
use crate::{
    backup::{BackupError, BackupStore},
    error::StoreError,
    shared::Engine,
};

#[async_trait]
impl BackupStore for Sqlite {
    fn file(&self) -> Option<&Path> {
        Some(self.file.get_filename())
    }

    async fn back_up(&self, file: &Path) -> Result<(), BackupError> {
        self.check_in_place()?;
        backup(self.file.clone(), file).await
    }
}

/// Copies a database into a new file, as it is at the begin of the copy. Others may read and write meanwhile.
pub(crate) async fn backup(database: SqliteConnectOptions, file: &Path) -> Result<(), BackupError> {
    if file.exists() {
        return Err(BackupError::Exists(file.to_owned()));
    }
    must_exist(&database)?;
    let failed = |error| BackupError::File(file.to_owned(), error);
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    // Under its name the file is complete; until then it is in a folder of its own, which is removed, with the journal
    // that SQLite keeps beside it, whatever ends the copy.
    let own_folder =
        tempfile::Builder::new().prefix(".").suffix(".partial").tempdir_in(&folder).map_err(failed)?;
    let partial = tempfile::NamedTempFile::new_in(&own_folder).map_err(failed)?;
    let path = partial.path().to_string_lossy().into_owned();
    let mut connection = database.busy_timeout(TIMEOUT).connect().await.map_err(StoreError::from)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await;
    connection.close().await.map_err(StoreError::from)?;
    copied.map_err(StoreError::from)?;
    // SQLite leaves it to the system when the copy reaches the disk.
    File::open(partial.path()).and_then(|copy| copy.sync_all()).map_err(failed)?;
    partial.persist_noclobber(file).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
