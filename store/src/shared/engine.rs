//! How statements reach a database: connections, transactions, rows.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use sqlx::{Database, FromRow, pool::PoolConnection, postgres::PgRow, sqlite::SqliteRow};

use super::{Statement, customer_key::CustomerKey};
use crate::error::Result;

/// A transaction of an [`Engine`].
pub(crate) type Transaction<E> = sqlx::Transaction<'static, <E as Engine>::Db>;

/// A row that either database can return.
pub(crate) trait StoredRow:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

impl<R> StoredRow for R where
    R: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin + 'static
{
}

/// A database that runs statements.
pub(crate) trait Engine: Clone + Send + Sync + 'static {
    /// The driver.
    type Db: Database;

    /// The clock of the database, as a value of a column of times.
    const NOW: &'static str;
    /// What is added to such a value for a microsecond.
    const MICROSECOND: &'static str;

    /// A name that no other open store has, noted with every change.
    fn writer(&self) -> &str;

    /// Hashes the ids of customers.
    fn customer_key(&self) -> &CustomerKey;

    /// Notes in the transaction of an erasure what [`Engine::clean_up_after_erasure`] has to do.
    fn note_erasure_in_files(tx: &mut Transaction<Self>) -> impl Future<Output = Result<()>> + Send;

    /// Removes what erasures, which are committed, have left behind in files.
    fn clean_up_after_erasure(&self) -> impl Future<Output = ()> + Send;

    /// Closes all connections, when those that are in use have been returned.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;

    /// The same store for work that lasts, see [`Store::patient`](crate::Store::patient).
    fn patient(&self) -> Self;

    /// A connection for reading outside of transactions.
    fn reader(&self) -> impl Future<Output = Result<Reader<Self>>> + Send;

    /// Returns a connection to its pool, after a query that `has_ended` or was left by its caller.
    fn give_back(connection: &mut PoolConnection<Self::Db>, has_ended: bool);

    /// Checks that the database is still the one that was opened.
    fn check_in_place(&self) -> Result<()>;

    /// Begins a transaction that may write.
    fn begin(&self) -> impl Future<Output = Result<Transaction<Self>>> + Send;

    /// Does some work with the database, unless that has become silent: then the work is dropped.
    fn unless_lost<T: Send>(
        &self,
        work: impl Future<Output = Result<T>> + Send,
    ) -> impl Future<Output = Result<T>> + Send;

    /// Returns a flag that ends the query of a connection when it is set, None where the driver has no such thing.
    fn interruptible(
        connection: &mut <Self::Db as Database>::Connection,
    ) -> impl Future<Output = Result<Option<Arc<AtomicBool>>>> + Send;

    /// Runs a statement and hands over its rows, one after the other.
    fn run_each<R: StoredRow>(
        connection: &mut <Self::Db as Database>::Connection,
        statement: Statement,
        each: impl FnMut(R) + Send,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Runs a statement and returns its rows; `()` for a statement without any.
    fn run<R: StoredRow>(
        connection: &mut <Self::Db as Database>::Connection,
        statement: Statement,
    ) -> impl Future<Output = Result<Vec<R>>> + Send {
        async {
            let mut rows = Vec::new();
            Self::run_each(connection, statement, |row| rows.push(row)).await?;
            Ok(rows)
        }
    }

    /// Runs a statement outside of a transaction and returns its rows.
    fn read<R: StoredRow>(&self, statement: Statement) -> impl Future<Output = Result<Vec<R>>> + Send {
        async {
            let mut rows = Vec::new();
            self.read_each(statement, |row| rows.push(row)).await?;
            Ok(rows)
        }
    }

    /// Runs a statement outside of a transaction and hands over its rows, for more of them than memory should hold. One
    /// that may take long ends with its caller if it is interruptible.
    fn read_each<R: StoredRow>(
        &self,
        statement: Statement,
        each: impl FnMut(R) + Send,
    ) -> impl Future<Output = Result<()>> + Send {
        self.unless_lost(async {
            let mut reader = self.reader().await?;
            if statement.may_last() {
                reader.interrupt = Self::interruptible(&mut reader).await?;
            }
            let read = Self::run_each(&mut reader, statement, each).await;
            reader.end();
            read
        })
    }

    /// Runs a statement outside of a transaction and returns its only row, None when there is none.
    fn read_one<R: StoredRow>(&self, statement: Statement) -> impl Future<Output = Result<Option<R>>> + Send {
        async { Ok(self.read(statement).await?.pop()) }
    }

    /// Returns the count that is the only value of a statement's only row. It ends with its caller if it is
    /// interruptible, since what is counted may be much.
    fn count(&self, statement: Statement) -> impl Future<Output = Result<u64>> + Send {
        async { Ok(self.read_one::<(i64,)>(statement.lasting()).await?.map_or(0, |(count,)| count as u64)) }
    }
}

/// A connection for reading. When its caller goes away in the middle of a query, the driver would wait for the end of the
/// query before it uses the connection again.
pub(crate) struct Reader<E: Engine> {
    connection: PoolConnection<E::Db>,
    interrupt: Option<Arc<AtomicBool>>,
    has_ended: bool,
}

impl<E: Engine> Reader<E> {
    pub(crate) const fn new(connection: PoolConnection<E::Db>) -> Self {
        Self { connection, interrupt: None, has_ended: false }
    }

    /// Returns the connection after its last query.
    pub(crate) fn end(mut self) {
        self.has_ended = true;
    }
}

impl<E: Engine> Deref for Reader<E> {
    type Target = <E::Db as Database>::Connection;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl<E: Engine> DerefMut for Reader<E> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.connection
    }
}

impl<E: Engine> Drop for Reader<E> {
    fn drop(&mut self) {
        if let Some(interrupt) = self.interrupt.take().filter(|_| !self.has_ended) {
            interrupt.store(true, Relaxed);
            self.connection.close_on_drop();
        }
        E::give_back(&mut self.connection, self.has_ended);
    }
}
