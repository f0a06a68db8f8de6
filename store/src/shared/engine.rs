//! How statements reach a database: connections, transactions, rows.

use sqlx::{Database, FromRow, Pool, postgres::PgRow, sqlite::SqliteRow};

use super::Statement;
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

    /// Closes all connections, when those that are in use have been returned.
    fn close(&self) -> impl Future<Output = Result<()>> + Send;

    /// The connections for reading outside of transactions.
    fn readers(&self) -> &Pool<Self::Db>;

    /// Checks that the database is still the one that was opened.
    fn check_in_place(&self) -> Result<()>;

    /// Begins a transaction that may write.
    fn begin(&self) -> impl Future<Output = Result<Transaction<Self>>> + Send;

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
            let mut connection = self.readers().acquire().await?;
            Self::run(&mut connection, statement).await
        }
    }

    /// Runs a statement outside of a transaction and hands over its rows, for more of them than memory should hold.
    fn read_each<R: StoredRow>(
        &self,
        statement: Statement,
        each: impl FnMut(R) + Send,
    ) -> impl Future<Output = Result<()>> + Send {
        async {
            let mut connection = self.readers().acquire().await?;
            Self::run_each(&mut connection, statement, each).await
        }
    }

    /// Runs a statement outside of a transaction and returns its only row, None when there is none.
    fn read_one<R: StoredRow>(&self, statement: Statement) -> impl Future<Output = Result<Option<R>>> + Send {
        async { Ok(self.read(statement).await?.pop()) }
    }

    /// Returns the count that is the only value of a statement's only row.
    fn count(&self, statement: Statement) -> impl Future<Output = Result<u64>> + Send {
        async { Ok(self.read_one::<(i64,)>(statement).await?.map_or(0, |(count,)| count as u64)) }
    }
}
