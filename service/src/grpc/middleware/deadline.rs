//! The caller's deadline.

use std::time::Duration;

use http::HeaderMap;

/// How much earlier than the caller we give up: once the deadline has passed, tonic's own answer would be
/// CANCELLED.
const MARGIN: Duration = Duration::from_millis(2);

/// How long the caller waits, by its `grpc-timeout` (up to eight digits and a unit), less a margin. None
/// without the header, or with one that cannot be read.
pub(super) fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    let wanted = match unit {
        "H" => Duration::from_secs(value * 3_600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    Some(wanted.saturating_sub(MARGIN))
}
