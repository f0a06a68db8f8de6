//! What PostgreSQL knows of damage.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::Postgres;
use crate::{
    error::Result,
    integrity::{IntegrityStore, StructureReport},
    shared::{Engine, Statement},
};

/// Indexes and constraints that are not enforced, and checksums that were wrong.
const PROBLEMS: &str = "\
    SELECT 'the index ' || c.relname || ' is not valid; REINDEX makes it anew' AS problem \
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid \
    JOIN pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE NOT i.indisvalid AND n.nspname = current_schema() \
    UNION ALL SELECT 'the constraint ' || o.conname || ' was never validated' \
    FROM pg_constraint AS o JOIN pg_namespace AS n ON n.oid = o.connamespace \
    WHERE NOT o.convalidated AND n.nspname = current_schema() \
    UNION ALL SELECT checksum_failures || ' pages had a wrong checksum, the last at ' || checksum_last_failure \
    FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0";

#[async_trait]
impl IntegrityStore for Postgres {
    async fn check_structure(&self, within: Option<Duration>) -> Result<StructureReport> {
        let reading = self.read::<(String,)>(Statement::new(PROBLEMS));
        let read = match within {
            Some(within) => timeout(within, reading).await.ok(),
            None => Some(reading.await),
        };
        Ok(match read {
            Some(problems) => {
                let problems = problems?.into_iter().map(|(problem,)| problem).collect();
                StructureReport { problems, complete: true }
            }
            None => StructureReport { problems: Vec::new(), complete: false },
        })
    }
}
