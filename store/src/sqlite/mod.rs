//! SQLite, built in: one writing connection and several reading ones. Rows go in by `json_each`, or, the many
//! interactions and predictions, hundreds to a statement; histories come out packed, or in one row by
//! `group_concat`.
//!
//! Floating point numbers never pass through SQLite's own number parser: attributes stay the text that serde wrote,
//! and probabilities are bound as numbers.

mod backup;
mod clean_up;
mod customers;
mod histories;
mod insights;
mod integrity;
mod interactions;
mod log;
mod merges;
mod predictions;
mod reports;
mod scrub;
mod stamp;

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use backon::{ConstantBuilder, Retryable};
use futures_util::TryStreamExt;
use sqlx::{
    Connection, Sqlite as Database, SqliteConnection, SqlitePool,
    migrate::Migrator,
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{sync::Mutex, time::sleep};

pub(crate) use backup::{backup, note_backup};

use crate::{
    error::{Result, StoreError, is_locked},
    options::OpenOptions,
    shared::{
        Engine, Reader, Statement, StoredRow, Transaction, arguments, customer_key::CustomerKey,
        erasures::read_key,
    },
};

/// What makes the schema.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");
/// How long a connection waits for a locked file, and a caller for a free connection.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The first version in which resetting the write-ahead log at the wrong moment does not damage the database
/// (<https://sqlite.org/wal.html#walresetbug>).
const SOUND: [u32; 3] = [3, 51, 3];
/// Page cache of the writing connection; SQLite takes a negative number as KiB. A batch touches pages all over the
/// indexes; with the default of 2 MiB they would be written and read again within it.
const WRITER_CACHE: &str = "-32768";
/// Rows of a statement with bound values; SQLite allows 32,766 values.
const BOUND_ROWS: usize = 500;
/// Instructions of SQLite's virtual machine, some ten microseconds, between two looks whether a long query is to end.
const STEPS: i32 = 1_000;
/// Connections, one of them for writing.
const CONNECTIONS: u32 = 5;

/// The store in a SQLite file.
#[derive(Clone)]
pub(crate) struct Sqlite {
    writer: SqlitePool,
    readers: SqlitePool,
    file: SqliteConnectOptions,
    opened: FileId,
    name: Arc<str>,
    key: CustomerKey,
    /// Held by the task that removes what erasures leave behind.
    cleaning_up: Arc<Mutex<()>>,
}

/// A file, whatever its name: its device and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId(u64, u64);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self(metadata.dev(), metadata.ino()))
    }
}

impl Sqlite {
    pub(crate) async fn open(file: SqliteConnectOptions, how: OpenOptions, name: Arc<str>) -> Result<Self> {
        if !how.create {
            must_exist(&file)?;
        }
        let options = file
            .clone()
            .create_if_missing(how.create)
            .journal_mode(SqliteJournalMode::Wal)
            // What is acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(TIMEOUT);
        // A connection to a file does not break: there is no need to test it before each use.
        let pool = |connections| {
            let pool = SqlitePoolOptions::new().max_connections(connections);
            // Without limits of age and idleness, the pool has no task that looks after them: that task can miscount the
            // idle connections and then goes round for ever (sqlx issue 3645).
            pool.acquire_timeout(TIMEOUT).test_before_acquire(false).idle_timeout(None).max_lifetime(None)
        };
        let writer = pool(1).after_release(|connection, _| Box::pin(has_ended(connection)));
        // What is deleted is overwritten, so that nothing of an erased customer stays in free space.
        let writing = options.clone().pragma("cache_size", WRITER_CACHE).pragma("secure_delete", "ON");
        // Of programs that open a new file at once, one turns on its log, for which SQLite lets the others not wait.
        let connect = || writer.clone().connect_with(writing.clone());
        let again = ConstantBuilder::new().with_delay(Duration::from_millis(20)).with_max_times(50);
        let writer = connect.retry(again).sleep(sleep).when(is_locked).await?;
        must_be_sound(&sqlx::query_scalar::<_, String>("SELECT sqlite_version()").fetch_one(&writer).await?)?;
        // All migrations run in one writing transaction: all or none, and a second program waits.
        let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
        MIGRATIONS.run(&mut *tx).await?;
        tx.commit().await?;
        let readers = how.connections.unwrap_or(CONNECTIONS).saturating_sub(1).max(1);
        let readers = pool(readers).connect_with(options).await?;
        let opened = FileId::of(file.get_filename()).map_err(sqlx::Error::Io)?;
        let (key, cleaning_up) = (CustomerKey::default(), Arc::default());
        let mut store = Self { writer, readers, file, opened, name, key, cleaning_up };
        store.key = read_key(&store).await?;
        // A program that was killed may not have finished it.
        store.clean_up_after_erasure().await;
        Ok(store)
    }
}

impl Engine for Sqlite {
    type Db = Database;

    const NOW: &'static str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";
    const MICROSECOND: &'static str = "1";

    fn writer(&self) -> &str {
        &self.name
    }

    fn customer_key(&self) -> &CustomerKey {
        &self.key
    }

    async fn note_erasure_in_files(tx: &mut Transaction<Self>) -> Result<()> {
        clean_up::note(tx).await
    }

    async fn clean_up_after_erasure(&self) {
        clean_up::clean_up(self).await;
    }

    /// Every store is: a caller that waits for the only writer gets it soon.
    fn patient(&self) -> Self {
        self.clone()
    }

    async fn reader(&self) -> Result<Reader<Self>> {
        Ok(Reader::new(self.readers.acquire().await?))
    }

    /// What is interruptible is interrupted; the rest ends soon.
    fn give_back(_: &mut PoolConnection<Database>, _: bool) {}

    async fn close(&self) -> Result<()> {
        self.readers.close().await;
        self.writer.close().await;
        log::leave(&self.file).await
    }

    async fn begin(&self) -> Result<Transaction<Self>> {
        self.check_in_place()?;
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// What is written to a file that was removed is lost with the last program that has it open.
    fn check_in_place(&self) -> Result<()> {
        let path = self.file.get_filename();
        match FileId::of(path) {
            Ok(present) if present == self.opened => Ok(()),
            Ok(_) => Err(StoreError::Unavailable(format!(
                "{} was replaced by another file while it was in use; start again to use that one",
                path.display()
            ))),
            Err(error) => Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
        }
    }

    /// A file is not lost.
    async fn unless_lost<T: Send>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        work.await
    }

    async fn interruptible(connection: &mut SqliteConnection) -> Result<Option<Arc<AtomicBool>>> {
        let interrupt = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&interrupt);
        connection.lock_handle().await?.set_progress_handler(STEPS, move || !seen.load(Relaxed));
        Ok(Some(interrupt))
    }

    async fn run_each<R: StoredRow>(
        connection: &mut SqliteConnection,
        statement: Statement,
        mut each: impl FnMut(R) + Send,
    ) -> Result<()> {
        // SQLite looks up a named parameter such as `$1` among all before it, but not a numbered one.
        let keeps = !statement.has_many_values();
        let (sql, values) = statement.into_unnumbered_parts();
        let query = sqlx::query_as_with(sql, arguments::<Database>(values)?);
        let mut rows = query.persistent(keeps).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            each(row);
        }
        Ok(())
    }
}

/// Checks that this program is not linked with a SQLite that can damage a database.
fn must_be_sound(version: &str) -> Result<()> {
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    match numbers.as_slice() >= SOUND.as_slice() {
        true => Ok(()),
        false => Err(StoreError::Internal(format!(
            "this program is linked with SQLite {version}, which can damage databases; it takes 3.51.3 or later"
        ))),
    }
}

/// Checks that a database is there: SQLite would only say that it cannot open it.
fn must_exist(file: &SqliteConnectOptions) -> Result<()> {
    let path = file.get_filename();
    match path.exists() {
        true => Ok(()),
        false => {
            Err(StoreError::InvalidUrl(format!("{} does not exist; tally-serve creates it", path.display())))
        }
    }
}

/// Whether no transaction is open on a connection that is not used any more.
///
/// After an error such as a full disk, SQLite itself has rolled the transaction back. The rollback that sqlx sends
/// then fails, and sqlx would count the connection as in a transaction from then on; the pool replaces it.
async fn has_ended(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    if connection.is_in_transaction() {
        // The answer comes behind a rollback that is still queued.
        connection.ping().await?;
    }
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_that_damages_databases_is_refused() {
        for version in ["3.51.3", "3.51.10", "3.52.0", "4.0.0"] {
            assert!(must_be_sound(version).is_ok(), "{version}");
        }
        for version in ["3.51.2", "3.50.9", "3.7", ""] {
            assert!(must_be_sound(version).unwrap_err().to_string().contains("3.51.3 or later"), "{version}");
        }
    }

    #[tokio::test]
    async fn a_long_query_ends_with_its_caller() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteConnectOptions::new().filename(folder.path().join("tally.db"));
        let one_reader = OpenOptions { connections: Some(2), ..OpenOptions::default() };
        let store = Sqlite::open(file, one_reader, "test".into()).await.unwrap();
        for _ in 0..3 {
            let endless =
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n";
            let read = store.read::<(i64,)>(Statement::new(endless).planned_anew());
            tokio::time::timeout(Duration::from_millis(50), read).await.unwrap_err();
            let count = store.count(Statement::new(endless));
            tokio::time::timeout(Duration::from_millis(50), count).await.unwrap_err();
        }
        // The only connection is free again, and its handler ends no other query.
        for _ in 0..2 {
            let many = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 100000) \
                        SELECT count(*) FROM n";
            assert_eq!(store.read::<(i64,)>(Statement::new(many)).await.unwrap(), [(100_000,)]);
            assert_eq!(
                store.read::<(i64,)>(Statement::new(many).planned_anew()).await.unwrap(),
                [(100_000,)]
            );
        }
    }

    #[tokio::test]
    async fn writes_go_on_after_sqlite_has_rolled_back_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = SqliteConnectOptions::new().filename(folder.path().join("tally.db"));
        let store = Sqlite::open(file, OpenOptions::default(), "test".into()).await.unwrap();
        // What SQLite does when the disk is full, and what sqlx does not see.
        let mut tx = store.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        for _ in 0..2 {
            store.begin().await.unwrap().commit().await.unwrap();
        }
    }
}
