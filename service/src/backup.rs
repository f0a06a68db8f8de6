//! Backups of a database that serves.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use tally_model::time::Time;
use tally_store::{BackupError, NewAuditEvent, Store};

use crate::platform::{
    actor,
    blocking::run_blocking,
    error::{Error, Result},
};

/// The action in the audit log.
pub const BACKUP: &str = "BackupDatabase";
/// How many bytes are read at a time.
const PART_BYTES: u64 = 256 << 10;

/// The ends of the name of a folder in which a copy is made.
const FOLDER: [&str; 2] = [".", ".backup"];
/// The file in it that is locked meanwhile.
const LOCK: &str = "lock";

/// A copy of the database, which is gone when this is dropped.
pub struct DatabaseCopy {
    file: File,
    bytes: u64,
}

impl DatabaseCopy {
    /// Copies the database as it is now.
    ///
    /// # Errors
    /// FAILED_PRECONDITION (NOT_SQLITE) when it is not SQLite's; when the copy cannot be written, or the store fails.
    pub async fn make(store: &dyn Store) -> Result<Self> {
        let place = place(store).unwrap_or(Path::new("."));
        let [prefix, suffix] = FOLDER;
        let folder = tempfile::Builder::new().prefix(prefix).suffix(suffix).tempdir_in(place);
        let folder = folder.map_err(|error| failed(&error))?;
        let lock = File::create(folder.path().join(LOCK)).and_then(|lock| lock.lock().map(|()| lock));
        let _lock = lock.map_err(|error| failed(&error))?;
        let path = folder.path().join("copy.db");
        store.back_up(&path).await?;
        let file = File::open(path).map_err(|error| failed(&error))?;
        let bytes = file.metadata().map_err(|error| failed(&error))?.len();
        // The system keeps the file, which has no name any more, for as long as it is open.
        Ok(Self { file, bytes })
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

/// Where copies are made: beside the database, since there is no other place that is known to have room. None when it is
/// not SQLite's.
fn place(store: &dyn Store) -> Option<&Path> {
    let beside = store.file()?.parent().unwrap_or(Path::new(""));
    Some(if beside == Path::new("") { Path::new(".") } else { beside })
}

/// Removes what is left of copies whose server was killed while it made them.
///
/// # Errors
/// When the folder of the database cannot be read, or what is left cannot be removed.
pub fn remove_abandoned(store: &dyn Store) -> io::Result<()> {
    let Some(place) = place(store) else { return Ok(()) };
    for entry in place.read_dir()? {
        let entry = entry?;
        let [prefix, suffix] = FOLDER;
        let is_ours = entry.file_name().to_str().is_some_and(|name| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.len() > suffix.len() && rest.ends_with(suffix))
        });
        // Without a lock it has just begun, or is somebody else's.
        let Some(lock) = is_ours.then(|| File::open(entry.path().join(LOCK)).ok()).flatten() else {
            continue;
        };
        if lock.try_lock().is_ok() {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Notes in the audit log of the database of `url` that this process has copied it into `file`.
///
/// # Errors
/// When the database cannot be written, or is of another version.
pub async fn note(url: &str, file: &Path, now: Time) -> Result<(), BackupError> {
    let event = NewAuditEvent::done(now, &actor::of_this_process(), BACKUP).about(file.display().to_string());
    tally_store::note_backup(url, event).await
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
