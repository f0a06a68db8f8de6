//! The clock. Nothing else reads the time of the machine, so that tests can pass their own.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use tally_model::time::Time;

/// Reads the time; tests pass their own.
pub type TimeSource = fn() -> Time;

/// A clock that never returns the same time twice.
///
/// Scores rest on it: what was known at one answer of the clock is what was recorded at an earlier one.
#[derive(Debug)]
pub struct Clock {
    source: TimeSource,
    /// The latest answer, in microseconds.
    last: AtomicI64,
}

impl Clock {
    /// A clock that reads `source`.
    #[must_use]
    pub const fn new(source: TimeSource) -> Self {
        Self { source, last: AtomicI64::new(0) }
    }

    /// Returns the time, later than every time returned before, even when `source` goes back.
    #[must_use]
    pub fn now(&self) -> Time {
        let read = (self.source)().0;
        let next = |last: i64| read.max(last + 1);
        let last = self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(next(last)));
        // The closure never declines.
        Time(next(last.unwrap_or_else(|last| last)))
    }
}

/// The clock of the machine cannot be right.
#[derive(Debug, thiserror::Error)]
#[error("the clock of this machine shows a time before 1970; set it and start again")]
pub struct WrongClock;

/// The system's clock, to the microsecond.
#[must_use]
pub fn system_clock() -> Time {
    let since_1970 = read_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)).min(Time::MAX)
}

/// Checks at the start of a program that the clock can be right: identifiers, HTTP and TLS have no times before 1970,
/// and the libraries for them panic.
///
/// # Errors
/// When it shows a time before 1970.
pub fn check_system_clock() -> Result<(), WrongClock> {
    check(read_clock())
}

fn check(now: SystemTime) -> Result<(), WrongClock> {
    now.duration_since(UNIX_EPOCH).map(drop).map_err(|_| WrongClock)
}

#[expect(clippy::disallowed_methods, reason = "the only place of the service that reads the clock")]
fn read_clock() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_is_refused() {
        assert!(check(UNIX_EPOCH).is_ok() && check_system_clock().is_ok());
        let error = check(UNIX_EPOCH - std::time::Duration::from_micros(1)).unwrap_err().to_string();
        assert!(error.contains("before 1970; set it"), "{error}");
    }

    #[test]
    fn a_clock_whose_source_stands_still_goes_on() {
        let clock = Clock::new(|| Time(5));
        assert_eq!([clock.now(), clock.now(), clock.now()], [Time(5), Time(6), Time(7)]);
    }
}
