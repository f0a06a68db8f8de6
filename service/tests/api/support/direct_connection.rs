//! A connection to the database that bypasses the server.

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::{Tally, eventually};

/// A connection that damages or locks what the server has stored.
pub enum DirectConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl DirectConnection {
    pub async fn open(tally: &Tally) -> Self {
        let url = &tally.database.url;
        if tally.database.is_sqlite() {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    pub async fn execute(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
            Self::Postgres(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
        }
    }

    /// Blocks writes about a customer until [`unlock`](Self::unlock): no interaction of it can be stored,
    /// since its foreign key needs the row. FOR UPDATE is the weakest lock that conflicts with that.
    pub async fn lock_customer(&mut self, customer_id: &str) {
        match self {
            Self::Sqlite(_) => self.execute("BEGIN IMMEDIATE").await,
            Self::Postgres(_) => {
                self.execute("BEGIN").await;
                let row = format!("SELECT 1 FROM customers WHERE customer_id = '{customer_id}' FOR UPDATE");
                self.execute(&row).await;
            }
        }
    }

    pub async fn unlock(&mut self) {
        self.execute("ROLLBACK").await;
    }

    /// Waits until a transaction of the server has begun to store interactions.
    ///
    /// A transaction locks the table from its INSERT to its end, and on Citus the coordinator holds that lock
    /// while a worker node waits for the row; the wait for the row itself would be seen on the worker only.
    /// So this is the observation that both have in common: the write has begun, and
    /// [`lock_customer`](Self::lock_customer) keeps it from ending. SQLite shows nothing of the kind.
    pub async fn wait_for_write(&mut self) {
        let Self::Postgres(connection) = self else { return };
        let writing = "SELECT count(*) FROM pg_locks \
                       WHERE database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                       AND relation = 'interactions'::regclass AND mode = 'RowExclusiveLock' AND granted";
        eventually(async || {
            let count: i64 = sqlx::query_scalar(writing).fetch_one(&mut *connection).await.unwrap();
            count > 0
        })
        .await;
    }
}
