//! Where work goes that keeps a core busy, so that no request waits behind it.

use super::error::{Error, Result};

/// Runs `work` on a thread of its own, in the span of the caller.
///
/// # Errors
/// INTERNAL when the work panics.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    let work = tokio::task::spawn_blocking(move || span.in_scope(work));
    work.await.map_err(|error| Error::Internal(error.to_string()))
}
