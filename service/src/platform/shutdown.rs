//! What a program does before it ends.

use std::time::Duration;

use tally_store::Store;
use tokio::time::timeout;

/// How long the writes in progress may take.
const CLOSES_WITHIN: Duration = Duration::from_secs(10);

/// Waits for the writes in progress and closes the database, so that a SQLite file is complete in itself.
pub async fn close(store: &dyn Store) {
    match timeout(CLOSES_WITHIN, store.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the database was not closed in order; nothing is lost"),
        Err(_) => tracing::warn!("the database was still in use after {CLOSES_WITHIN:?}; nothing is lost"),
    }
}
