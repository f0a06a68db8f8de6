//! Where work goes that keeps a core busy, so that no request waits behind it.

use std::{num::NonZero, sync::Arc, thread};

use rayon::{ThreadPool, ThreadPoolBuilder};

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

/// The cores that long work uses.
#[derive(Clone)]
pub struct Cores(Option<Arc<ThreadPool>>);

impl Cores {
    /// All of them, shared with everything else in the process.
    #[must_use]
    pub const fn all() -> Self {
        Self(None)
    }

    /// At most half of them, on threads of their own: requests find the others free, and do not queue behind the parts
    /// of the work. The threads end with the last clone.
    ///
    /// # Errors
    /// INTERNAL when the system gives no threads.
    pub fn half() -> Result<Self> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2);
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|n| format!("job-{n}")).build();
        Ok(Self(Some(Arc::new(pool.map_err(|error| Error::Internal(error.to_string()))?))))
    }

    /// Runs `work`, and what it does in parallel, on these cores, in the span of the caller.
    ///
    /// # Errors
    /// INTERNAL when the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let pool = self.0.clone();
        run_blocking(move || match pool {
            Some(pool) => pool.install(work),
            None => work(),
        })
        .await
    }
}
