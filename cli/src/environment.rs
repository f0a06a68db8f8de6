//! What the command reads of the machine that it runs on: the clock, the user and the host.

use std::time::{SystemTime, UNIX_EPOCH};

use tally_model::time::Time;

/// The system's clock.
#[expect(clippy::disallowed_methods, reason = "the only place of the command that reads the clock")]
pub fn system_clock() -> Time {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)).min(Time::MAX)
}

/// The user who runs this command, as user@host.
pub fn user_at_host() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}
