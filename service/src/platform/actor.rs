//! Who asks: every change of a model names its actor.

/// Somebody, or a program, on whose behalf something is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The caller that the credentials of the call name, where callers are checked, and what is known besides.
    pub name: String,
}

impl Actor {
    /// The user who runs this program, as user@host.
    #[must_use]
    pub fn of_this_process() -> Self {
        let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
        let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
        Self { name: format!("{user}@{host}") }
    }
}
