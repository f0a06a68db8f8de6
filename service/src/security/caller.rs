//! Who calls, once the credentials of a call have been checked.

use tally_model::time::Time;

use super::scope::Scopes;

/// A caller with valid credentials. The transport puts it into the extensions of the request, as `Arc<Caller>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Of a token or certificate, the name in the token file, so that a token and the one that replaces it are one
    /// caller; of a JWT, `jwt:` and its subject.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// From when on its credentials are not valid any more, if ever.
    pub expires: Option<Time>,
}

impl Caller {
    /// Whether the credentials are still valid.
    #[must_use]
    pub fn is_valid_at(&self, now: Time) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
