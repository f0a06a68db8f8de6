//! Backups of a database that serves.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tally_store::{BackupError, Store};
use tempfile::TempDir;

use crate::platform::{
    blocking::run_blocking,
    error::{Error, Result},
};

/// How many bytes are read at a time.
const PART_BYTES: u64 = 256 << 10;

/// A copy of the database, which is removed when this is dropped.
pub struct DatabaseCopy {
    file: File,
    bytes: u64,
    _folder: TempDir,
}

impl DatabaseCopy {
    /// Copies the database as it is now.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (NOT_SQLITE) when it is not SQLite's; when the copy cannot be written, or the store fails.
    pub async fn make(store: &dyn Store) -> Result<Self> {
        // Beside the database, since there is no other place that is known to have room.
        let beside = store.file().and_then(Path::parent).unwrap_or(Path::new(""));
        let place = if beside == Path::new("") { Path::new(".") } else { beside };
        let folder = tempfile::Builder::new()
            .prefix(".")
            .suffix(".backup")
            .tempdir_in(place)
            .map_err(|error| failed(&error))?;
        let path = folder.path().join("copy.db");
        store.back_up(&path).await?;
        let file = File::open(path).map_err(|error| failed(&error))?;
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        Ok(Self { file, bytes, _folder: folder })
    }

    /// The size of the copy.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next bytes of the copy; None at its end.
    ///
    /// # Errors
    /// When the copy cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut file = self.file.try_clone().map_err(|error| failed(&error))?;
        let read = run_blocking(move || {
            let mut part = Vec::new();
            file.by_ref().take(PART_BYTES).read_to_end(&mut part).map(|_| part)
        });
        let part = read.await?.map_err(|error| failed(&error))?;
        Ok(Some(part).filter(|part| !part.is_empty()))
    }
}

fn failed(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::StorageFull,
        _ => Error::Unavailable(format!("the copy for a backup: {error}")),
    }
}

impl From<BackupError> for Error {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Postgres => Self::Precondition { reason: "NOT_SQLITE", message: error.to_string() },
            BackupError::File(_, error) => failed(&error),
            BackupError::Exists(_) => Self::Internal(error.to_string()),
            BackupError::Store(error) => error.into(),
        }
    }
}
