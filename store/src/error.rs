//! The errors of the store. They do not know how they are reported to a caller.

use rustix::process::{Resource, getrlimit};

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// An item because of which a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RefusedItem {
    /// Its place in the request, from 0.
    pub index: usize,
    /// The customer of the interaction.
    pub customer_id: String,
    /// The caller's id of the interaction.
    pub interaction_id: String,
    /// What is wrong, and that nothing was stored.
    pub message: String,
}

/// Why an operation of the store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL of the database is not valid.
    #[error("database: {0}")]
    InvalidUrl(String),
    /// The schema of the database belongs to another version of the program.
    #[error("{message}")]
    Schema {
        /// Machine-readable reason: `NEWER_SCHEMA` or `OTHER_SCHEMA`.
        reason: &'static str,
        /// What differs.
        message: String,
    },
    /// The same key is stored with other content.
    #[error("{0}")]
    AlreadyExists(RefusedItem),
    /// An interaction that must be stored is not.
    #[error("{0}")]
    NotFound(RefusedItem),
    /// A concurrent write of the same data; the same call may succeed now.
    #[error("a concurrent write of the same data interfered; try again")]
    Aborted,
    /// A sum of a report does not fit into 64 bits.
    #[error("the amounts of a report add up to more than 64 bits hold")]
    SumTooLarge,
    /// The disk of the database is full, or its file has reached a limit.
    #[error("storage full: nothing was stored")]
    StorageFull,
    /// The file of the database is damaged, or no database.
    #[error("the database is damaged; restore a backup: {0}")]
    Damaged(String),
    /// The database cannot be reached.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A bug, or damaged data.
    #[error("{0}")]
    Internal(String),
}

// Result codes of SQLite (https://www.sqlite.org/rescode.html).
const SQLITE_ERROR: u32 = 1;
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_INTERRUPT: u32 = 9;
const SQLITE_IOERR: u32 = 10;
const SQLITE_CORRUPT: u32 = 11;
const SQLITE_FULL: u32 = 13;
const SQLITE_CANTOPEN: u32 = 14;
const SQLITE_TOOBIG: u32 = 18;
const SQLITE_NOTADB: u32 = 26;
/// A write failed, also because of a limit of the size of files.
const SQLITE_IOERR_WRITE: u32 = 3 << 8 | SQLITE_IOERR;
/// The index of the log cannot grow, for which SQLite does not say that the disk is full.
const SQLITE_IOERR_SHMSIZE: u32 = 19 << 8 | SQLITE_IOERR;

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => {
                Self::Unavailable(error.to_string())
            }
            // Another writer has just inserted or deleted the row.
            E::Database(database)
                if database.is_unique_violation() || database.is_foreign_key_violation() =>
            {
                Self::Aborted
            }
            E::Database(database) => {
                let code = database.code().unwrap_or_default();
                // SQLite's codes are shorter than PostgreSQL's five characters.
                if code.len() < 5 { of_sqlite(&code, &error) } else { of_postgres(&code, &error) }
            }
            _ => Self::Internal(error.to_string()),
        }
    }
}

fn of_sqlite(code: &str, error: &sqlx::Error) -> StoreError {
    match primary_code(code) {
        SQLITE_ERROR if is_overflow(error) => StoreError::SumTooLarge,
        SQLITE_FULL => StoreError::StorageFull,
        SQLITE_CORRUPT | SQLITE_NOTADB => StoreError::Damaged(error.to_string()),
        SQLITE_IOERR if code.parse() == Ok(SQLITE_IOERR_SHMSIZE) => StoreError::StorageFull,
        SQLITE_IOERR if code.parse() == Ok(SQLITE_IOERR_WRITE) && files_have_a_limit() => {
            StoreError::StorageFull
        }
        SQLITE_BUSY | SQLITE_LOCKED | SQLITE_READONLY | SQLITE_IOERR | SQLITE_CANTOPEN => {
            StoreError::Unavailable(error.to_string())
        }
        _ => StoreError::Internal(error.to_string()),
    }
}

/// Whether files of this process may have a certain size only.
fn files_have_a_limit() -> bool {
    getrlimit(Resource::Fsize).current.is_some()
}

/// Whether a sum of SQLite was too large, which has no code of its own.
fn is_overflow(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message() == "integer overflow")
}

/// The primary code of SQLite in an extended one, its lowest byte.
fn primary_code(code: &str) -> u32 {
    code.parse::<u32>().unwrap_or_default() & 0xff
}

/// Whether SQLite found the database in use by others.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    is_of_sqlite(error, &[SQLITE_BUSY, SQLITE_LOCKED])
}

/// Whether a text would be longer than SQLite allows.
pub(crate) fn is_too_long(error: &sqlx::Error) -> bool {
    is_of_sqlite(error, &[SQLITE_TOOBIG])
}

/// Whether SQLite found that the file is damaged, or no database.
pub(crate) fn is_damaged(error: &sqlx::Error) -> bool {
    is_of_sqlite(error, &[SQLITE_CORRUPT, SQLITE_NOTADB])
}

/// Whether a statement of SQLite was interrupted.
pub(crate) fn is_interrupted(error: &sqlx::Error) -> bool {
    is_of_sqlite(error, &[SQLITE_INTERRUPT])
}

fn is_of_sqlite(error: &sqlx::Error, codes: &[u32]) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| codes.contains(&primary_code(&code)))
}

fn of_postgres(code: &str, error: &sqlx::Error) -> StoreError {
    match code {
        // Serialisation failure, deadlock.
        "40001" | "40P01" => StoreError::Aborted,
        // Numeric value out of range.
        "22003" => StoreError::SumTooLarge,
        // Disk full.
        "53100" => StoreError::StorageFull,
        // Connection failure, resources, operator intervention, read-only, and what Citus reports of a lost worker.
        code if ["08", "53", "57"].iter().any(|class| code.starts_with(class) && code.len() == 5)
            || ["25006", "XX000", "28P01", "28000", "3D000"].contains(&code) =>
        {
            StoreError::Unavailable(error.to_string())
        }
        _ => StoreError::Internal(error.to_string()),
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        use sqlx::migrate::MigrateError as E;
        match error {
            E::Execute(error) | E::ExecuteMigration(error, _) => error.into(),
            E::VersionMissing(version) => Self::Schema {
                reason: "NEWER_SCHEMA",
                message: format!(
                    "the database has migration {version}, which this program does not know: it belongs to a newer version"
                ),
            },
            E::VersionMismatch(version) => Self::Schema {
                reason: "OTHER_SCHEMA",
                message: format!("migration {version} of the database is not the one of this program"),
            },
            other => Self::Internal(other.to_string()),
        }
    }
}
