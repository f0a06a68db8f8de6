//! What the command reads from the machine it runs on: the clock, the user and the host.

use crate::error::ClientError;

/// The current time of the system's clock.
pub fn system_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Checks that the clock can be right: TLS has no times before 1970, and the library for it panics.
///
/// # Errors
/// When it shows a time before 1970.
pub fn check_clock(now: jiff::Timestamp) -> Result<(), ClientError> {
    if now < jiff::Timestamp::UNIX_EPOCH { Err(ClientError::WrongClock) } else { Ok(()) }
}

/// The user who runs this command, as user@host.
pub fn user_at_host() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_is_refused() {
        assert!(check_clock(jiff::Timestamp::UNIX_EPOCH).is_ok() && check_clock(system_clock()).is_ok());
        let before = jiff::Timestamp::from_microsecond(-1).unwrap();
        let error = check_clock(before).unwrap_err();
        assert!(error.to_string().contains("before 1970; set it"), "{error}");
        assert_eq!(error.exit_code(), tally_terminal::exit::FAILED);
    }
}
