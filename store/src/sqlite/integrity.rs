//! SQLite's own checks of a file.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tally_model::counted;

use super::{Sqlite, TIMEOUT};
use crate::{
    error::{Result, StoreError, is_damaged, is_interrupted},
    integrity::{IntegrityStore, StructureReport},
};

/// How many steps of SQLite's machine lie between two looks at the clock; some thousand take a millisecond.
const STEPS: i32 = 10_000;

#[async_trait]
impl IntegrityStore for Sqlite {
    async fn check_structure(&self, within: Option<Duration>) -> Result<StructureReport> {
        // On a connection of its own, since others must not be interrupted.
        let mut connection = self.file.clone().busy_timeout(TIMEOUT).connect().await?;
        if let Some(within) = within {
            let end = Instant::now() + within;
            connection.lock_handle().await?.set_progress_handler(STEPS, move || Instant::now() < end);
        }
        let problems = problems(&mut connection).await;
        connection.close().await?;
        match problems {
            Ok(problems) => Ok(StructureReport { problems, complete: true }),
            Err(error) if is_interrupted(&error) => {
                Ok(StructureReport { problems: Vec::new(), complete: false })
            }
            Err(error) if is_damaged(&error) => {
                Ok(StructureReport { problems: vec![error.to_string()], complete: true })
            }
            Err(error) => Err(StoreError::from(error)),
        }
    }
}

async fn problems(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let pages: Vec<String> = sqlx::query_scalar("PRAGMA quick_check(5)").fetch_all(&mut *connection).await?;
    let references: Vec<(String, Option<i64>, String, i64)> =
        sqlx::query_as("PRAGMA foreign_key_check").fetch_all(&mut *connection).await?;
    let lost = (!references.is_empty()).then(|| {
        let (table, _, parent, _) = &references[0];
        format!(
            "{} to rows that do not exist, the first of {table} to one of {parent}",
            counted(references.len(), "row refers", "rows refer")
        )
    });
    Ok(pages.into_iter().filter(|line| line != "ok").chain(lost).collect())
}
