//! When a server counts as ready, over HTTP and over gRPC alike.

use std::time::Duration;

/// A store that takes longer to answer is not ready.
pub const STORE_ANSWERS_WITHIN: Duration = Duration::from_secs(2);
