//! PostgreSQL (and Citus). Rows go in by `UNNEST` of arrays, many rows by `COPY`; histories come out packed, or as
//! arrays by `array_agg`.

mod binary;
mod connect;
mod connections;
mod customers;
mod histories;
mod insights;
mod integrity;
mod interactions;
mod merges;
mod migrate;
mod predictions;
mod reports;
mod stamp;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection, Postgres as Database, pool::PoolConnection};
use tokio::time::timeout;

pub(crate) use connect::Server;
use connect::{FREE_WITHIN, OPENED_WITHIN};
use connections::{Connections, acquire};

use crate::{
    backup::{BackupError, BackupStore},
    error::Result,
    options::OpenOptions,
    shared::{
        Engine, Reader, Statement, StoredRow, Transaction, arguments, customer_key::CustomerKey,
        erasures::read_key,
    },
};

/// How long a connection may take to show that it can be used again.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// How long a query goes on that its caller has left. Most end within milliseconds, and their connections stay open.
const LEFT_WITHIN: Duration = Duration::from_secs(1);
/// COPY is worth its round trips from this number of rows on.
const COPY_ROWS: usize = 100;

/// The store on PostgreSQL.
#[derive(Clone)]
pub(crate) struct Postgres {
    connections: Arc<Connections>,
    /// How long to wait for a connection when all are in use.
    free_within: Duration,
    name: Arc<str>,
    key: CustomerKey,
}

impl Postgres {
    /// Opens the database.
    pub(crate) async fn open(server: Server, how: OpenOptions, name: Arc<str>) -> Result<Self> {
        let connections = Arc::new(server.connect(how).await?);
        migrate::migrate(&connections.pools().writers).await?;
        let mut store = Self { connections, free_within: FREE_WITHIN, name, key: CustomerKey::default() };
        store.key = read_key(&store).await?;
        Ok(store)
    }
}

#[async_trait]
impl BackupStore for Postgres {
    fn file(&self) -> Option<&Path> {
        None
    }

    async fn back_up(&self, _: &Path) -> Result<(), BackupError> {
        Err(BackupError::Postgres)
    }
}

impl Engine for Postgres {
    type Db = Database;

    const NOW: &'static str = "clock_timestamp()";
    const MICROSECOND: &'static str = "INTERVAL '1 microsecond'";

    fn writer(&self) -> &str {
        &self.name
    }

    fn customer_key(&self) -> &CustomerKey {
        &self.key
    }

    /// PostgreSQL's own vacuum removes what was deleted from its files.
    async fn note_erasure_in_files(_: &mut Transaction<Self>) -> Result<()> {
        Ok(())
    }

    async fn clean_up_after_erasure(&self) {}

    fn patient(&self) -> Self {
        Self { free_within: OPENED_WITHIN, ..self.clone() }
    }

    async fn reader(&self) -> Result<Reader<Self>> {
        Ok(Reader::new(acquire(&self.connections.pools().readers, self.free_within).await?))
    }

    /// The pool sees whether a connection still answers. One that is in a query that was left has little time for that:
    /// the server ends the query when its connection is closed (`client_connection_check_interval`).
    fn give_back(connection: &mut PoolConnection<Database>, has_ended: bool) {
        let within = if has_ended { ANSWERED_WITHIN } else { LEFT_WITHIN };
        tokio::spawn(timeout(within, connection.return_to_pool()));
    }

    async fn close(&self) -> Result<()> {
        for pool in self.connections.pools().all() {
            pool.close().await;
        }
        Ok(())
    }

    /// The server knows.
    fn check_in_place(&self) -> Result<()> {
        Ok(())
    }

    async fn begin(&self) -> Result<Transaction<Self>> {
        let connection = acquire(&self.connections.pools().writers, self.free_within).await?;
        // As `Pool::begin` does.
        Ok(sqlx::Transaction::begin(connection, None).await?)
    }

    async fn unless_lost<T: Send>(&self, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.connections.unless_silent(work).await
    }

    /// The driver cannot cancel a query; see [`give_back`](Self::give_back).
    async fn interruptible(_: &mut PgConnection) -> Result<Option<Arc<AtomicBool>>> {
        Ok(None)
    }

    async fn run_each<R: StoredRow>(
        connection: &mut PgConnection,
        statement: Statement,
        mut each: impl FnMut(R) + Send,
    ) -> Result<()> {
        let keeps =
            keeps_statements(connection) && !statement.is_planned_anew() && !statement.has_many_values();
        let (sql, values) = statement.into_parts();
        let query = sqlx::query_as_with(sql, arguments::<Database>(values)?);
        let mut rows = query.persistent(keeps).fetch(connection);
        while let Some(row) = rows.try_next().await? {
            each(row);
        }
        Ok(())
    }
}

/// Whether statements stay prepared on a connection. Every query must be told: behind a pooler, the connection may be
/// one to another server process the next time, which knows none of the statements or others of the same names.
fn keeps_statements(connection: &PgConnection) -> bool {
    // `connect` has prepared the first where they are kept, and the cache never becomes empty again.
    connection.cached_statements_size() > 0
}

/// A column of rows, to be bound as an array.
fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}

/// A column that can fail.
fn try_column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> Result<C>) -> Result<Vec<C>> {
    rows.iter().map(value).collect()
}
