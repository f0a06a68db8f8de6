//! The id of a call, by which its log lines are found.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderName};
use tally_proto::REQUEST_ID_HEADER;
use uuid::Uuid;

/// The header of request ids.
pub(super) const HEADER: HeaderName = HeaderName::from_static(REQUEST_ID_HEADER);
/// Longer ids of callers are replaced.
const LONGEST: usize = 128;

/// Makes the ids of one server: random once, then counted, which costs no system call.
pub(super) struct RequestIds {
    prefix: u32,
    next: AtomicU64,
}

/// The id of one call.
#[derive(Clone)]
pub(in crate::grpc) enum RequestId {
    /// From the caller.
    Received(Box<str>),
    /// Made here.
    Made(u32, u64),
}

impl RequestIds {
    pub(super) fn new() -> Self {
        Self { prefix: Uuid::new_v4().as_fields().0, next: AtomicU64::new(1) }
    }

    /// The caller's id, if it is one to 128 visible ASCII characters, or else a new one.
    pub(super) fn of(&self, headers: &HeaderMap) -> RequestId {
        let received = headers.get(HEADER).and_then(|value| value.to_str().ok());
        match received
            .filter(|id| (1..=LONGEST).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
        {
            Some(id) => RequestId::Received(id.into()),
            None => RequestId::Made(self.prefix, self.next.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(id) => f.write_str(id),
            Self::Made(prefix, number) => write!(f, "{prefix:08x}-{number}"),
        }
    }
}
