//! How transactions run. Each runs in a task of its own: a caller that goes away in the middle of `BEGIN` would
//! otherwise leave a connection in the pool inside a transaction that nobody ends (sqlx issue 4385).

use std::{future::ready, sync::Arc, time::Duration};

use backon::{ConstantBuilder, Retryable};

use super::Engine;
use crate::error::{Result, StoreError};

/// How often a transaction is repeated after the first try.
const RETRIES: usize = 4;

/// Runs a transaction to its end, even when the caller goes away; it ends early only when the database is lost.
pub(crate) async fn detached<E: Engine, T: Send + 'static>(
    store: &E,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let store = store.clone();
    tokio::spawn(async move { store.unless_lost(work).await })
        .await
        .map_err(|error| StoreError::Internal(format!("a transaction panicked: {error}")))?
}

/// Runs a transaction as [`detached`] does and repeats it at once when a concurrent write aborts it. Every try
/// shares the same context.
pub(crate) async fn repeatable<E, C, T, F>(store: &E, context: C, work: impl Fn(Arc<C>) -> F) -> Result<T>
where
    E: Engine,
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    let context = Arc::new(context);
    let attempt = || detached(store, work(Arc::clone(&context)));
    attempt
        .retry(ConstantBuilder::new().with_delay(Duration::ZERO).with_max_times(RETRIES))
        .sleep(|_| ready(()))
        .when(|error| matches!(error, StoreError::Aborted))
        .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use sqlx::sqlite::SqliteConnectOptions;
    use tempfile::TempDir;

    use super::*;
    use crate::{options::OpenOptions, sqlite::Sqlite};

    async fn store(folder: &TempDir) -> Sqlite {
        let file = SqliteConnectOptions::new().filename(folder.path().join("tally.db"));
        Sqlite::open(file, OpenOptions::default(), "test".into()).await.unwrap()
    }

    async fn run(aborted: usize) -> (Result<usize>, usize) {
        let (folder, tries) = (tempfile::tempdir().unwrap(), Arc::new(AtomicUsize::new(0)));
        let store = store(&folder).await;
        let result = repeatable(&store, Arc::clone(&tries), |tries| async move {
            let before = tries.fetch_add(1, Relaxed);
            if before < aborted { Err(StoreError::Aborted) } else { Ok(before) }
        });
        (result.await, tries.load(Relaxed))
    }

    #[tokio::test]
    async fn an_aborted_transaction_is_tried_five_times() {
        assert!(matches!(run(4).await, (Ok(4), 5)));
        assert!(matches!(run(5).await, (Err(StoreError::Aborted), 5)));
    }

    #[tokio::test]
    async fn another_error_is_not_repeated() {
        let (folder, tries) = (tempfile::tempdir().unwrap(), Arc::new(AtomicUsize::new(0)));
        let store = store(&folder).await;
        let result: Result<()> = repeatable(&store, Arc::clone(&tries), |tries| async move {
            tries.fetch_add(1, Relaxed);
            Err(StoreError::StorageFull)
        })
        .await;
        assert!(matches!(result, Err(StoreError::StorageFull)));
        assert_eq!(tries.load(Relaxed), 1);
    }
}
