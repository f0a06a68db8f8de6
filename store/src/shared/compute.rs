//! Work that keeps a core busy.

use crate::error::{Result, StoreError};

/// So many bytes are worked through on the spot: some tenths of a millisecond.
const ON_THE_SPOT: usize = 64 << 10;

/// Runs work on about so many bytes. Much of it runs on a thread of its own, so that no other call waits for it.
pub(crate) async fn compute<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if bytes <= ON_THE_SPOT {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| StoreError::Internal(format!("work on rows panicked: {error}")))?
}
