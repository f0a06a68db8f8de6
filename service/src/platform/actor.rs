//! Who asks: every change of a model, and whatever the audit log notes, names its actor.

pub use tally_store::Actor;

/// The user who runs this program, as user@host.
#[must_use]
pub fn of_this_process() -> Actor {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    Actor { name: format!("{user}@{host}"), request_id: String::new() }
}
