//! What the command reads from the machine it runs on: the clock, the user and the host.

/// The current time of the system's clock.
pub fn system_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The user who runs this command, as user@host.
pub fn user_at_host() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}
