//! Connections to PostgreSQL, directly or through a pooler such as PgBouncer.
//!
//! A pooler in transaction mode gives each transaction another session. Then no statement may stay prepared, and since
//! the driver sends a statement in two steps, between which the session may change, even a single read needs a
//! transaction. Both cost time, so that they are done only behind a pooler.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use sqlx::{
    ConnectOptions, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::connections::{Connections, Pools};
use crate::{
    error::{Result, StoreError},
    options::OpenOptions,
};

/// How long opening a connection may take.
pub(super) const OPENED_WITHIN: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection when all are in use. Those that wait longer would only grow in number.
pub(super) const FREE_WITHIN: Duration = Duration::from_millis(900);
/// How long a start waits between its tries to connect, at first and at last.
const RETRY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];
/// Connections unless told otherwise.
const CONNECTIONS: u32 = 16;
/// A connection that was in use within this time is not tested before its next use.
const TRUSTED: Duration = Duration::from_secs(1);
/// How long a connection that was idle may take to show that it still works, before another is opened instead.
const TESTED_WITHIN: Duration = Duration::from_secs(2);
/// A connection of this age is replaced before its next use: the memory of its session has grown, and the server may have
/// another address now.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// What the server does about sessions whose client is gone: their statements and transactions end. No query is compiled:
/// for the reports that takes longer, a second, than it saves.
const SESSION: [(&str, &str); 7] = [
    ("client_connection_check_interval", "1s"),
    ("idle_in_transaction_session_timeout", "15s"),
    ("tcp_user_timeout", "10s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("jit", "off"),
];
/// A setting of no meaning, given when a connection is opened: a pooler opens its own connections.
const DIRECT: (&str, &str) = ("tally.direct", "on");
/// The code of an error in the protocol, with which a pooler refuses a parameter that it does not know.
const PROTOCOL_VIOLATION: &str = "08P01";

/// A server, as a URL names it.
pub(crate) struct Server {
    pub(crate) options: PgConnectOptions,
    /// Whether statements stay prepared; None to find out whether there is a pooler.
    pub(crate) keeps_statements: Option<bool>,
}

impl Server {
    /// Connects to the server.
    pub(super) async fn connect(self, how: OpenOptions) -> Result<Connections> {
        let connections = how.connections.unwrap_or(CONNECTIONS).max(2);
        // Numbers come in binary, for which this parameter means nothing; poolers refuse it.
        let options = self.options.extra_float_digits(None);
        let options = match options.get_application_name() {
            Some(_) => options,
            None => options.application_name("tally"),
        };
        let unavailable = |error| unavailable(&options, &error);
        let is_direct = is_direct(&options, how.wait).await.map_err(unavailable)?;
        let keeps_statements = self.keeps_statements.unwrap_or(is_direct);
        // A pooler refuses settings.
        let opened = if is_direct { with_settings(options.clone()) } else { options.clone() };
        let opened = if keeps_statements { opened } else { opened.statement_cache_capacity(0) };
        let opener = Opener { options: opened, keeps_statements, connections };
        let connections = Connections::new(opener);
        // A database that cannot be reached is an error now, not at the first request.
        drop(connections.pools().writers.acquire().await.map_err(unavailable)?);
        Ok(connections)
    }
}

/// Adds the settings of a session that the URL does not have.
fn with_settings(options: PgConnectOptions) -> PgConnectOptions {
    let given = options.get_options().unwrap_or_default().to_owned();
    let missing = SESSION.into_iter().filter(|(name, _)| !given.contains(name));
    options.options(missing)
}

/// Opens connections.
pub(super) struct Opener {
    options: PgConnectOptions,
    keeps_statements: bool,
    connections: u32,
}

impl Opener {
    /// Opens a connection of its own.
    pub(super) async fn connect(&self) -> sqlx::Result<PgConnection> {
        self.options.connect().await
    }

    /// Pools that open connections when they are needed.
    pub(super) fn pools(&self) -> Pools {
        match self.keeps_statements {
            true => direct_pools(&self.options, self.connections),
            false => pooled_pools(&self.options, self.connections),
        }
    }
}

/// A quarter of the connections reads histories, the others do everything else.
fn direct_pools(options: &PgConnectOptions, connections: u32) -> Pools {
    let histories = (connections / 4).max(1);
    let keeping = |connections| {
        pool(connections).after_connect(|connection, _| {
            // See `keeps_statements`.
            Box::pin(async { sqlx::query("SELECT 1").execute(connection).await.map(drop) })
        })
    };
    let both = tested(keeping(connections - histories)).connect_lazy_with(options.clone());
    let histories = keeping(histories).before_acquire(|connection, about| {
        Box::pin(async move {
            if about.idle_for > TRUSTED {
                test(connection.ping()).await?;
            }
            Ok(about.age < LIFETIME)
        })
    });
    let histories = histories.connect_lazy_with(options.clone());
    Pools { writers: both.clone(), readers: both, histories, given_up: CancellationToken::new() }
}

/// Half of the connections writes. The others are in a transaction from when they are taken until they are returned.
fn pooled_pools(options: &PgConnectOptions, connections: u32) -> Pools {
    let writers = connections / 2;
    let readers = pool(connections - writers)
        .after_connect(|connection, _| Box::pin(begin(connection)))
        .before_acquire(|connection, about| {
            Box::pin(async move { test(begin(connection)).await.map(|()| about.age < LIFETIME) })
        })
        .after_release(|connection, _| {
            Box::pin(async { sqlx::raw_sql("ROLLBACK").execute(connection).await.map(|_| true) })
        })
        .connect_lazy_with(options.clone());
    let writers = tested(pool(writers)).connect_lazy_with(options.clone());
    Pools { writers, histories: readers.clone(), readers, given_up: CancellationToken::new() }
}

/// A pool that tests each connection before it is used again.
fn tested(pool: PgPoolOptions) -> PgPoolOptions {
    pool.before_acquire(|connection, about| {
        Box::pin(async move { test(connection.ping()).await.map(|()| about.age < LIFETIME) })
    })
}

/// Waits for the answer of a connection that was idle.
async fn test(answer: impl Future<Output = sqlx::Result<()>>) -> sqlx::Result<()> {
    timeout(TESTED_WITHIN, answer).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

async fn begin(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("BEGIN READ ONLY").execute(connection).await.map(drop)
}

/// The pool tests connections here, and has no task that looks after their age and idleness: that task can miscount the
/// idle connections and then goes round for ever (sqlx issue 3645).
fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(OPENED_WITHIN)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Whether a session belongs to a connection for as long as that is open. Behind a pooler in session mode this is not
/// found out, and true would be faster there.
async fn is_direct(options: &PgConnectOptions, wait: Duration) -> sqlx::Result<bool> {
    let options = options.clone().options([DIRECT]);
    let mut connection = match connect(&options, wait).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(PROTOCOL_VIOLATION) => {
            return Ok(false);
        }
        connection => connection?,
    };
    let setting = sqlx::raw_sql("SELECT current_setting('tally.direct', true)");
    let setting: Option<String> = setting.fetch_one(&mut connection).await?.try_get(0)?;
    connection.close().await?;
    Ok(setting.as_deref() == Some(DIRECT.1))
}

/// Connects, and waits for a server that is not there yet.
async fn connect(options: &PgConnectOptions, wait: Duration) -> sqlx::Result<PgConnection> {
    let begun = Instant::now();
    let once =
        async || timeout(OPENED_WITHIN, options.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let [first, last] = RETRY;
    once.retry(ExponentialBuilder::new().with_min_delay(first).with_max_delay(last).without_max_times())
        .sleep(sleep)
        .when(|error| begun.elapsed() < wait && may_come(error))
        .await
}

/// Whether a server that could not be reached may be on its way. One that refuses the user, or whose name nobody knows,
/// is not.
fn may_come(error: &sqlx::Error) -> bool {
    use ErrorKind as Kind;
    match error {
        // Of a socket, there is no file yet.
        sqlx::Error::Io(error) => matches!(
            error.kind(),
            Kind::ConnectionRefused
                | Kind::ConnectionReset
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NotFound
                | Kind::TimedOut
                | Kind::UnexpectedEof
        ),
        sqlx::Error::PoolTimedOut => true,
        // It is starting or stopping, or has no connection to spare.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| ["57P03", "53300"].contains(&&*code)),
        _ => false,
    }
}

/// The error of a connection, which says where to.
fn unavailable(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let (host, port) = (options.get_host(), options.get_port());
    let place = match options.get_socket() {
        Some(folder) => format!("the socket in {}, port {port}", folder.display()),
        None => format!("{host}, port {port}"),
    };
    StoreError::Unavailable(format!("cannot connect to PostgreSQL at {place}: {error}"))
}
