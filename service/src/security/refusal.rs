//! Why a call is refused, whatever it asks for.

use std::time::Duration;

use super::scope::Scope;

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It has no credentials.
    #[error("the call has no credentials; send the header `authorization: Bearer TOKEN`")]
    Missing,
    /// Its header is none of a bearer token.
    #[error("the header `authorization` is wrong; allowed is one, `Bearer TOKEN`")]
    Malformed,
    /// Nobody has this token.
    #[error("the token is not valid here")]
    Unknown,
    /// Its credentials are not looked at: many from its address were wrong.
    #[error("too many calls from this address had wrong credentials; try again after retry_delay")]
    TooManyFailures {
        /// How long that goes on.
        wait: Duration,
    },
    /// The token is of a later time.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The token was valid once.
    #[error("the token has expired")]
    Expired,
    /// The certificate of the connection has expired, or was revoked, since the connection began.
    #[error("the client's certificate is not valid any more")]
    CertificateEnded,
    /// The certificate is valid, but nobody has been given a right by it.
    #[error("the client's certificate has no entry in the server's list of callers")]
    UnknownCertificate,
    /// The caller is known and may not do this.
    #[error("{caller} may not do this; it takes the scope `{scope}`")]
    Scope {
        /// Who calls.
        caller: String,
        /// The missing scope.
        scope: Scope,
    },
}

impl Refusal {
    /// The machine-readable reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "NO_CREDENTIALS",
            Self::TooManyFailures { .. } => "TOO_MANY_FAILURES",
            Self::Malformed | Self::Unknown | Self::NotYetValid => "INVALID_CREDENTIALS",
            Self::Expired | Self::CertificateEnded => "EXPIRED_CREDENTIALS",
            Self::UnknownCertificate => "UNKNOWN_CERTIFICATE",
            Self::Scope { .. } => "MISSING_SCOPE",
        }
    }

    /// Whether the credentials are of nobody.
    pub(super) const fn is_wrong_guess(&self) -> bool {
        matches!(self, Self::Malformed | Self::Unknown | Self::NotYetValid)
    }

    /// Whether it is known who calls, so that other credentials of the same caller would be refused, too.
    #[must_use]
    pub const fn is_of_known_caller(&self) -> bool {
        matches!(self, Self::UnknownCertificate | Self::Scope { .. })
    }
}
