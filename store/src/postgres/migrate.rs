//! Migrations. The driver's own runner holds a lock for its session and prepares statements by name, neither of which
//! survives a pooler that gives each transaction another session.

use std::collections::HashMap;

use sqlx::{
    PgPool,
    migrate::{MigrateError, Migration, Migrator},
};

use crate::error::Result;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/postgres");

/// Locks out other migrators until the transaction ends; the number is arbitrary. Then the table as the driver makes
/// it, without a notice when it is there. Citus creates functions only in transactions that change the parts of a table one
/// after the other; where there is no Citus, its setting means nothing.
const LOCK: &str = "SET LOCAL client_min_messages = warning; \
     SET LOCAL citus.multi_shard_modify_mode = sequential; \
     SELECT pg_advisory_xact_lock(7305808869229685); \
     CREATE TABLE IF NOT EXISTS _sqlx_migrations ( \
         version BIGINT PRIMARY KEY, \
         description TEXT NOT NULL, \
         installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), \
         success BOOLEAN NOT NULL, \
         checksum BYTEA NOT NULL, \
         execution_time BIGINT NOT NULL \
     )";

/// Brings the schema up to date. Each migration is one transaction; programs that migrate at the same time wait for
/// each other and find nothing left to do.
pub(super) async fn migrate(pool: &PgPool) -> Result<()> {
    while apply_next(pool).await? {}
    Ok(())
}

/// Applies the first missing migration; returns false when none is missing.
async fn apply_next(pool: &PgPool) -> Result<bool> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql(LOCK).execute(&mut *tx).await?;
    let applied = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations").persistent(false);
    let Some(next) = first_missing(&applied.fetch_all(&mut *tx).await?)? else { return Ok(false) };
    for statement in statements(next.sql.as_str()) {
        let applied = sqlx::raw_sql(statement).execute(&mut *tx).await;
        applied.map_err(|error| MigrateError::ExecuteMigration(error, next.version))?;
    }
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES ($1, $2, true, $3, -1)",
    )
    .persistent(false)
    .bind(next.version)
    .bind(&*next.description)
    .bind(&*next.checksum)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(true)
}

/// The statements of a migration, each with what precedes it: of several in one query, Citus refuses some. A statement ends
/// with a line that ends with a semicolon, unless that is a comment or within `$$`.
fn statements(migration: &'static str) -> Vec<&'static str> {
    let (mut statements, mut start, mut end, mut is_quoted) = (Vec::new(), 0, 0, false);
    for line in migration.split_inclusive('\n') {
        end += line.len();
        is_quoted ^= line.matches("$$").count() % 2 == 1;
        if !is_quoted && !line.trim_start().starts_with("--") && line.trim_end().ends_with(';') {
            statements.push(&migration[start..end]);
            start = end;
        }
    }
    if !migration[start..].trim().is_empty() {
        statements.push(&migration[start..]);
    }
    statements
}

/// The first migration that is not among the applied ones, which must all be those of this program.
fn first_missing(applied: &[(i64, Vec<u8>)]) -> Result<Option<&'static Migration>, MigrateError> {
    let mut applied: HashMap<i64, &[u8]> =
        applied.iter().map(|(version, checksum)| (*version, checksum.as_slice())).collect();
    let mut missing = None;
    for migration in MIGRATOR.iter() {
        match applied.remove(&migration.version) {
            Some(checksum) if checksum == &*migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
            None => missing = missing.or(Some(migration)),
        }
    }
    match applied.into_keys().min() {
        Some(unknown) => Err(MigrateError::VersionMissing(unknown)),
        None => Ok(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_divided_into_its_statements() {
        let migration = "-- One;\nCREATE TABLE a (\n    -- two;\n    b TEXT);\n\nDO $$\nBEGIN\n    SELECT 1;\nEND\n$$;\nSELECT $$;\n$$;\n\n-- End\n";
        assert_eq!(
            statements(migration),
            [
                "-- One;\nCREATE TABLE a (\n    -- two;\n    b TEXT);\n",
                "\nDO $$\nBEGIN\n    SELECT 1;\nEND\n$$;\n",
                "SELECT $$;\n$$;\n",
                "\n-- End\n"
            ]
        );
        assert!(
            MIGRATOR
                .iter()
                .all(|migration| statements(migration.sql.as_str()).concat() == migration.sql.as_str())
        );
    }
}
