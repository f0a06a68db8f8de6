//! The errors of the service. How a caller sees them is decided by the transport: `grpc/status.rs` maps
//! them to gRPC statuses.

use std::fmt::{self, Write};

use tally_model::{artifact::ArtifactError, history::DecodeError, label::Ineligible};
use tally_proto::limits::WORD_CHARS;
use tally_store::{RefusedItem, StoreError};

/// A result of the service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `interactions[3].occur_time`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub description: String,
}

/// What a caller sent, as errors show it: readable, and short even when it is not, since errors travel in headers.
pub struct Shortened<'a>(pub &'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        self.0.chars().take(WORD_CHARS).try_for_each(|c| f.write_char(readable(c)))
    }
}

/// Everything that can go wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request violates the contract.
    #[error("{}", list(.0))]
    Invalid(Vec<Violation>),
    /// The thing does not exist.
    #[error("{message}")]
    NotFound {
        /// Machine-readable reason.
        reason: &'static str,
        /// What was asked for, such as `("customer_id", …)`.
        about: Vec<(&'static str, String)>,
        /// What does not exist.
        message: String,
    },
    /// The request is valid, but the state does not allow it.
    #[error("{message}")]
    Precondition {
        /// Machine-readable reason.
        reason: &'static str,
        /// What would have to be different.
        message: String,
    },
    /// The same key is stored with other content.
    #[error("{0}")]
    AlreadyExists(RefusedItem),
    /// An interaction was never recorded.
    #[error("{0}")]
    UnknownInteraction(RefusedItem),
    /// A concurrent write got in the way; the same request may succeed now.
    #[error("another write of the same data came between; try again")]
    Aborted,
    /// Somebody else moved the champion first.
    #[error("{0}")]
    Conflict(String),
    /// The database has no room.
    #[error("storage full: nothing was stored")]
    StorageFull,
    /// The database cannot be reached.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The deadline of the call has passed.
    #[error("the deadline of the call has passed")]
    DeadlineExceeded,
    /// A bug, or damaged data. The text is for the log only.
    #[error("{0}")]
    Internal(String),
}

fn list(violations: &[Violation]) -> String {
    let shown: Vec<String> = violations.iter().take(3).map(ToString::to_string).collect();
    let more = violations.len() - shown.len();
    let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{rest}", shown.join("; "))
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.description)
    }
}

impl Error {
    /// A single violation.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation { field: field.into(), description: description.into() }])
    }

    /// No such customer.
    #[must_use]
    pub fn unknown_customer(customer_id: &str) -> Self {
        Self::NotFound {
            reason: "CUSTOMER_NOT_FOUND",
            about: vec![("customer_id", customer_id.to_owned())],
            message: format!("no customer `{customer_id}` is stored"),
        }
    }

    /// No such model.
    #[must_use]
    pub fn unknown_model(name: &str) -> Self {
        Self::NotFound {
            reason: "MODEL_NOT_FOUND",
            about: vec![("model", name.to_owned())],
            message: format!("no model `{name}` is stored"),
        }
    }

    /// A stored model that cannot be read, and why.
    #[must_use]
    pub fn unreadable_model(name: &str, why: impl fmt::Display) -> Self {
        Self::Precondition {
            reason: "UNREADABLE_MODEL",
            message: format!("the stored model {name} cannot be read: {why}"),
        }
    }

    /// No such prediction.
    #[must_use]
    pub fn unknown_prediction(prediction_id: &str) -> Self {
        Self::NotFound {
            reason: "PREDICTION_NOT_FOUND",
            about: vec![("prediction_id", prediction_id.to_owned())],
            message: format!("no prediction `{prediction_id}` is stored"),
        }
    }

    /// The pass of insights that a list follows is gone.
    #[must_use]
    pub fn pass_is_gone() -> Self {
        Self::Conflict("the pass of this list was replaced; list from the first page".to_owned())
    }

    /// Whether what is asked for is not allowed as things are, so that it would be refused again.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Invalid(_) | Self::NotFound { .. } | Self::Precondition { .. } | Self::AlreadyExists(_)
        )
    }

    /// What a caller may read: no SQL, path or customer data.
    #[must_use]
    pub fn public_message(&self) -> String {
        match self {
            Self::Unavailable(_) => "the database is not available; try again".to_owned(),
            Self::Internal(_) => "internal error; the server's log has the details".to_owned(),
            other => other.to_string(),
        }
    }

    /// The machine-readable reason.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_REQUEST",
            Self::NotFound { reason, .. } | Self::Precondition { reason, .. } => reason,
            Self::AlreadyExists(_) => "OTHER_CONTENT_STORED",
            Self::UnknownInteraction(_) => "INTERACTION_NOT_FOUND",
            Self::Aborted | Self::Conflict(_) => "LOST_RACE",
            Self::StorageFull => "STORAGE_FULL",
            Self::Unavailable(_) => "STORE_UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal(_) => "INTERNAL",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidUrl(description) => Self::invalid("database", description),
            StoreError::Schema { reason, message } => Self::Precondition { reason, message },
            StoreError::AlreadyExists(item) => Self::AlreadyExists(item),
            StoreError::NotFound(item) => Self::UnknownInteraction(item),
            StoreError::Aborted => Self::Aborted,
            StoreError::SumTooLarge => Self::Precondition {
                reason: "SUM_TOO_LARGE",
                message: format!(
                    "the amounts add up to more than 64 bits hold, {} minor units. Are they right? Where a range can be \
                     chosen, a shorter one has less",
                    i64::MAX
                ),
            },
            StoreError::StorageFull => Self::StorageFull,
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Damaged(_) => Self::Internal(error.to_string()),
            StoreError::Internal(detail) => Self::Internal(detail),
        }
    }
}

impl From<Ineligible> for Error {
    fn from(why: Ineligible) -> Self {
        let (reason, message) = match why {
            Ineligible::NotYetCreated => {
                ("NOT_YET_CREATED", "the customer did not exist yet at as_of_time; it was created later")
            }
            Ineligible::NotALead => {
                ("NOT_A_LEAD", "the customer has bought before as_of_time, so that it is no lead")
            }
            Ineligible::NotABuyer => {
                ("NOT_A_BUYER", "the customer has not bought up to as_of_time, so that it cannot leave")
            }
            Ineligible::NotSubscribed => (
                "NOT_SUBSCRIBED",
                "the customer has nothing to cancel: no relation has begun up to as_of_time",
            ),
            Ineligible::AlreadyCancelled => {
                ("ALREADY_CANCELLED", "the customer has cancelled before as_of_time and not come back")
            }
        };
        Self::Precondition { reason, message: message.to_owned() }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Internal(error.to_string())
    }
}

/// Of a model that was just made: what is stored has [`Error::unreadable_model`].
impl From<ArtifactError> for Error {
    fn from(error: ArtifactError) -> Self {
        Self::Internal(format!("a model cannot be stored: {error}"))
    }
}
