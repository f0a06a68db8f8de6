//! A copy of a database that may be in use.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use super::{MIGRATIONS, Sqlite, TIMEOUT, must_exist};
use crate::{
    audit::{AuditStore, NewAuditEvent},
    backup::{BackupError, BackupStore},
    error::{Result, StoreError},
    options::OpenOptions,
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

/// Notes in the audit log of a database that it was copied. The schema stays as it is, so it has to be that of this
/// program.
pub(crate) async fn note_backup(database: SqliteConnectOptions, event: NewAuditEvent) -> Result<()> {
    let mut connection = database.clone().busy_timeout(TIMEOUT).connect().await?;
    let version = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(&mut connection);
    let version: Option<i64> = version.await?;
    connection.close().await?;
    let own = MIGRATIONS.iter().map(|migration| migration.version).max();
    if version != own {
        let message = "the schema is that of another version of this program".to_owned();
        return Err(StoreError::Schema { reason: "OTHER_SCHEMA", message });
    }
    let existing = OpenOptions { create: false, ..OpenOptions::default() };
    let store = Sqlite::open(database, existing, Uuid::new_v4().to_string().into()).await?;
    store.append_audit(vec![event]).await?;
    store.close().await
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
    // The copy is one statement, which is slow where there is much data; that is nothing to log.
    let database = database.busy_timeout(TIMEOUT).disable_statement_logging();
    let mut connection = database.connect().await.map_err(StoreError::from)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path).execute(&mut connection).await;
    connection.close().await.map_err(StoreError::from)?;
    copied.map_err(StoreError::from)?;
    // SQLite leaves it to the system when the copy reaches the disk.
    File::open(partial.path()).and_then(|copy| copy.sync_all()).map_err(failed)?;
    partial.persist_noclobber(file).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
