//! An empty database for each test.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

use super::postgres_cluster::PostgresCluster;

/// An empty database. A SQLite database and a schema in a given Citus are removed with the handle, a
/// PostgreSQL database with the cluster.
pub struct Database {
    pub url: String,
    _folder: Option<TempDir>,
    _schema: Option<Schema>,
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("tally.db").display());
        Self { url, _folder: Some(folder), _schema: None }
    }

    /// A database that is there already and is not removed.
    pub fn at(url: String) -> Self {
        Self { url, _folder: None, _schema: None }
    }

    /// A database in the cluster of the tests; or, when `TALLY_TEST_CITUS_URL` has the URL of a database with
    /// the Citus extension, a schema in that.
    pub async fn postgres() -> Self {
        if let Some(citus) = std::env::var_os("TALLY_TEST_CITUS_URL") {
            let schema = Schema { database: citus.into_string().unwrap(), name: new_name() };
            schema.run("CREATE SCHEMA", "").await;
            return Self { url: schema.url(), _folder: None, _schema: Some(schema) };
        }
        Self::in_cluster().await
    }

    /// A database in the cluster of the tests.
    pub async fn in_cluster() -> Self {
        let (name, cluster) = (new_name(), PostgresCluster::get());
        let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.unwrap();
        Self { url: cluster.url(&name), _folder: None, _schema: None }
    }

    /// One empty database of each kind.
    pub async fn both() -> [Self; 2] {
        [Self::sqlite(), Self::postgres().await]
    }

    pub fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite")
    }

    /// Runs a statement that the server knows nothing of. Returns the first column of the first row, if any.
    pub async fn sql(&self, statement: &str) -> Option<i64> {
        let statement = AssertSqlSafe(statement.to_owned());
        if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(statement).fetch_optional(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(statement).fetch_optional(&mut connection).await.unwrap()
        }
    }

    /// Another handle to the same database, which must not outlive this one.
    pub fn again(&self) -> Self {
        Self::at(self.url.clone())
    }
}

fn new_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A schema in an existing database, dropped with the handle.
struct Schema {
    database: String,
    name: String,
}

impl Schema {
    fn url(&self) -> String {
        let separator = if self.database.contains('?') { '&' } else { '?' };
        format!("{}{separator}options[search_path]={}", self.database, self.name)
    }

    async fn run(&self, statement: &str, tail: &str) {
        let mut connection = PgConnection::connect(&self.database).await.unwrap();
        let statement = AssertSqlSafe(format!("{statement} {} {tail}", self.name));
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // The runtime of the test is busy with the test. A schema that cannot be dropped does not fail it.
        std::thread::scope(|scope| {
            let dropping = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(self.run("DROP SCHEMA", "CASCADE"));
            });
            drop(dropping.join());
        });
    }
}
