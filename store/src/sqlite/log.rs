//! The write-ahead log.

use std::time::Duration;

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::time::sleep;

use crate::error::{Result, is_locked};

/// How often it is tried: programs that end at the same time are in each other's way.
const TRIES: u32 = 4;
/// The shortest wait between two tries, in milliseconds. It differs between programs, so that one of those that end at
/// the same time comes first.
const WAIT_MS: u32 = 20;
const WAITS: u32 = 60;

/// How long an attempt to empty the log waits for writers and readers. Others cannot write meanwhile.
const EMPTYING: Duration = Duration::from_millis(100);

/// Moves everything that is in the log into the file and makes the log empty. Returns whether it is; readers of an older
/// state prevent that.
pub(super) async fn empty(file: &SqliteConnectOptions) -> bool {
    let emptied = async {
        let mut connection: SqliteConnection = file.clone().busy_timeout(EMPTYING).connect().await?;
        let checkpoint = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)");
        let busy: sqlx::Result<i64> = checkpoint.fetch_one(&mut connection).await;
        connection.close().await?;
        busy
    };
    matches!(emptied.await, Ok(0))
}

/// Takes a closed database out of WAL mode, so that nothing is outside of its file. In WAL mode it can be read only
/// with an index of its log, which a reader without write access cannot make. While other programs have the database
/// open it stays as it is, and the last of them does this.
pub(super) async fn leave(file: &SqliteConnectOptions) -> Result<()> {
    // None for a database in memory.
    if !file.get_filename().exists() {
        return Ok(());
    }
    for attempt in 1..=TRIES {
        match use_no_log(file).await {
            Err(error) if is_locked(&error) && attempt < TRIES => {
                let wait = WAIT_MS + std::process::id() % WAITS;
                sleep(Duration::from_millis((wait * attempt).into())).await;
            }
            Err(error) if is_locked(&error) => {}
            left => return Ok(left?),
        }
    }
    Ok(())
}

async fn use_no_log(file: &SqliteConnectOptions) -> sqlx::Result<()> {
    let mut connection: SqliteConnection = file.clone().busy_timeout(Duration::ZERO).connect().await?;
    let left = sqlx::query("PRAGMA journal_mode = DELETE").execute(&mut connection).await;
    connection.close().await?;
    left.map(drop)
}
