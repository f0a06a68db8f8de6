//! The size of a call's metadata.

use http::HeaderMap;

/// What HTTP/2 adds for each header (RFC 9113, section 6.5.2).
const OVERHEAD: usize = 32;

/// The size of the headers as HTTP/2 counts it, in bytes.
pub(super) fn metadata_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + OVERHEAD).sum()
}
