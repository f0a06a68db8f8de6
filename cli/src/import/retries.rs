//! Batches that are sent again: while the server is restarted or busy, an import waits. A batch that was stored although
//! its reply was lost counts as duplicates then.

use std::time::{Duration, Instant};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tonic::{Code, Status};

use crate::error::Refusal;

/// How long an import goes on trying while nothing is acknowledged.
const PATIENCE: Duration = Duration::from_secs(60);
/// The first wait and the longest one.
const WAITS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// The tries of a batch.
pub(super) struct Retries {
    /// When something was acknowledged last.
    acknowledged: Instant,
    waits: ExponentialBackoff,
}

impl Retries {
    pub(super) fn new() -> Self {
        let (first, longest) = WAITS;
        let waits = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
        Self { acknowledged: Instant::now(), waits: waits.with_jitter().without_max_times().build() }
    }

    /// How long to wait before the batch is sent again; None when the failure does not pass by itself, or has not for
    /// too long.
    pub(super) fn wait(&mut self, status: &Status) -> Option<Duration> {
        let asked =
            Refusal::of(status).retry_seconds.and_then(|asked| Duration::try_from_secs_f64(asked).ok());
        let passes = match status.code() {
            Code::Unavailable => true,
            // Also said of a full disk and of a message that is too large, then without a time.
            Code::ResourceExhausted => asked.is_some(),
            _ => false,
        };
        let wait = self.waits.next()?.max(asked.unwrap_or_default());
        (passes && self.acknowledged.elapsed() + wait < PATIENCE).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        let wait = |status: Status| Retries::new().wait(&status);
        assert!(wait(Status::unavailable("restarts")).is_some_and(|wait| wait >= WAITS.0));
        let busy = ErrorDetails::with_retry_info(Some(Duration::from_secs(2)));
        let busy = Status::with_error_details(Code::ResourceExhausted, "busy", busy);
        assert!(wait(busy).is_some_and(|wait| wait >= Duration::from_secs(2)));
        assert_eq!(wait(Status::resource_exhausted("storage full")), None);
        assert_eq!(wait(Status::invalid_argument("no")), None);
        assert_eq!(wait(Status::internal("a bug")), None);
        let late = ErrorDetails::with_retry_info(Some(PATIENCE));
        assert_eq!(wait(Status::with_error_details(Code::Unavailable, "later", late)), None);
    }
}
