//! How long a call may take.

use std::time::Duration;

use http::HeaderMap;

/// How much earlier than the caller we give up: a call that its caller has reset by then would count as CANCELLED.
const MARGIN: Duration = Duration::from_millis(2);

/// The longest that a unary call may take, whatever its caller wants: several times what the slowest report of a billion
/// interactions takes.
const LONGEST: Duration = Duration::from_secs(900);

/// How long a call with these headers may take: as long as its caller waits, and no longer than [`LONGEST`] unless its
/// response is a stream. None for a stream without a deadline.
pub(super) fn time_limit(headers: &HeaderMap, server_streaming: bool) -> Option<Duration> {
    let wanted = deadline(headers);
    if server_streaming { wanted } else { Some(wanted.unwrap_or(LONGEST).min(LONGEST)) }
}

/// How long the caller waits, by its `grpc-timeout` (up to eight digits and a unit), less a margin. None
/// without the header, or with one that cannot be read.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(timeout: &str, server_streaming: bool) -> Option<Duration> {
        let headers =
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-timeout"), timeout.parse().unwrap())]);
        time_limit(&headers, server_streaming)
    }

    #[test]
    fn a_deadline_counts_and_is_capped_and_garbage_is_ignored() {
        for (timeout, milliseconds) in [("1S", 998), ("2M", 119_998), ("50m", 48), ("9000u", 7), ("3m", 1)] {
            for streaming in [false, true] {
                assert_eq!(limit(timeout, streaming), Some(Duration::from_millis(milliseconds)), "{timeout}");
            }
        }
        for timeout in ["0n", "0H", "1n", "2m"] {
            assert_eq!(limit(timeout, false), Some(Duration::ZERO), "{timeout}");
        }
        assert_eq!(limit("99999999H", false), Some(LONGEST));
        for garbage in ["", "1", "S", "-1S", "+1S", "1s", "1.5S", "1 S", "123456789S", "\u{e9}S", "1SS"] {
            assert_eq!(limit(garbage, false), Some(LONGEST), "{garbage}");
            assert_eq!(limit(garbage, true), None, "{garbage}");
        }
        assert_eq!(time_limit(&HeaderMap::new(), false), Some(LONGEST));
        assert_eq!(time_limit(&HeaderMap::new(), true), None);
    }
}
