//! The interval of a job, such as `6h` or `7d`.

use std::{str::FromStr, time::Duration};

use jiff::{Span, SpanRelativeTo};

/// What is allowed.
const ALLOWED: &str = "allowed are 10m to 366d, such as 90m, 6h or 7d";
/// The shortest interval, in seconds.
const SHORTEST: u64 = 600;
/// The longest interval, in seconds.
const LONGEST: u64 = 366 * 86_400;

/// How often a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobInterval(pub Duration);

impl FromStr for JobInterval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: Span = text.parse().map_err(|_| ALLOWED)?;
        let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| ALLOWED)?;
        let duration = Duration::try_from(signed).map_err(|_| ALLOWED)?;
        let whole = duration.subsec_nanos() == 0 && (SHORTEST..=LONGEST).contains(&duration.as_secs());
        whole.then_some(Self(duration)).ok_or(ALLOWED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_units_and_limits() {
        for (text, seconds) in [
            ("10m", 600),
            ("90m", 5_400),
            ("6h", 21_600),
            ("1h 30m", 5_400),
            ("7d", 604_800),
            ("1w", 604_800),
            ("PT6H", 21_600),
            ("86400s", 86_400),
            ("366d", LONGEST),
        ] {
            assert_eq!(text.parse(), Ok(JobInterval(Duration::from_secs(seconds))), "{text}");
        }
        for text in [
            "",
            "6",
            "6 hours ago",
            "-6h",
            "0s",
            "599s",
            "9m 59s 999ms",
            "10m 1ms",
            "366d 1s",
            "1mo",
            "1y",
            "daily",
        ] {
            assert_eq!(text.parse::<JobInterval>(), Err(ALLOWED), "{text}");
        }
    }
}
