//! PostgreSQL (and Citus). Rows go in by `UNNEST` of arrays, many rows by `COPY`; histories come out packed, or as
//! arrays by `array_agg`.

mod binary;
mod customers;
mod histories;
mod interactions;
mod merges;
mod predictions;
mod stamp;

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection, PgPool, Postgres as Database,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    error::{Result, StoreError},
    shared::{Engine, Statement, StoredRow, Transaction, arguments},
};

/// How long a caller waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for everything but histories.
const CONNECTIONS: u32 = 12;
/// Connections that read histories.
const HISTORY_CONNECTIONS: u32 = 4;
/// A connection that was in use within this time is not tested before its next use.
const TRUSTED: Duration = Duration::from_secs(1);
/// COPY is worth its round trips from this number of rows on.
const COPY_ROWS: usize = 100;

/// The store on PostgreSQL.
#[derive(Clone)]
pub(crate) struct Postgres {
    pool: PgPool,
    /// Reads histories, on few connections: planning the statement takes longer than reading a customer, and each
    /// connection plans for itself.
    histories: PgPool,
    name: Arc<str>,
}

impl Postgres {
    pub(crate) async fn open(url: &str, name: Arc<str>) -> Result<Self> {
        // The driver's error could repeat the password in the URL.
        let options = PgConnectOptions::from_str(url)
            .map_err(|_| {
                StoreError::InvalidUrl("allowed is postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned())
            })?
            .application_name("tally");
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(options.clone()).await?;
        let histories = PgPoolOptions::new()
            .max_connections(HISTORY_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, about| {
                Box::pin(async move {
                    if about.idle_for > TRUSTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(options);
        // One migrator at a time, by an advisory lock; the others wait and find nothing left to do.
        sqlx::migrate!("../migrations/postgres").run(&pool).await?;
        Ok(Self { pool, histories, name })
    }
}

impl Engine for Postgres {
    type Db = Database;

    fn writer(&self) -> &str {
        &self.name
    }

    fn readers(&self) -> &PgPool {
        &self.pool
    }

    async fn begin(&self) -> Result<Transaction<Self>> {
        Ok(self.pool.begin().await?)
    }

    async fn run<R: StoredRow>(connection: &mut PgConnection, statement: Statement) -> Result<Vec<R>> {
        let (sql, values) = statement.into_parts();
        Ok(sqlx::query_as_with(sql, arguments::<Database>(values)?).fetch_all(connection).await?)
    }
}

/// A column of rows, to be bound as an array.
fn column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> C) -> Vec<C> {
    rows.iter().map(value).collect()
}

/// A column that can fail.
fn try_column<'a, T, C>(rows: &'a [T], value: impl Fn(&'a T) -> Result<C>) -> Result<Vec<C>> {
    rows.iter().map(value).collect()
}
