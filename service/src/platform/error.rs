//! What can go wrong, once; and the only mapping of it to a gRPC status.

use std::{collections::HashMap, fmt};

use prost::Message;
use tally_model::{artifact::ArtifactError, history::DecodeError, training::snapshot::Ineligible};
use tally_store::StoreError;
use tonic::Code;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use tally_proto::limits::{VIOLATION_BYTES, VIOLATIONS};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "tally.v1";

/// A result of the service.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `interactions[3].occur_time`.
    pub field: String,
    /// What was wrong and what is allowed.
    pub description: String,
}

/// All that can go wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The request is not as the contract wants it.
    #[error("{}", list(.0))]
    Invalid(Vec<Violation>),
    /// There is no such thing.
    #[error("{message}")]
    NotFound {
        /// Machine-readable reason.
        reason: &'static str,
        /// What was not found.
        message: String,
    },
    /// The request is fine, the state is not.
    #[error("{message}")]
    Precondition {
        /// Machine-readable reason.
        reason: &'static str,
        /// What would have to be different.
        message: String,
    },
    /// The same key is stored with other content.
    #[error("{0}")]
    AlreadyExists(String),
    /// Another writer was faster; the same request may succeed now.
    #[error("another write of the same data came between; try again")]
    Aborted,
    /// Somebody else moved the champion first.
    #[error("{0}")]
    Conflict(String),
    /// The database has no room.
    #[error("storage full: nothing was stored")]
    StorageFull,
    /// The database cannot be reached, or we are shutting down.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The caller's deadline has passed.
    #[error("the deadline of the call has passed")]
    DeadlineExceeded,
    /// A bug, or damage. The text is for the log only.
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
            message: format!("no customer `{customer_id}` is stored"),
        }
    }

    /// No such model.
    #[must_use]
    pub fn unknown_model(name: &str) -> Self {
        Self::NotFound { reason: "MODEL_NOT_FOUND", message: format!("no model `{name}` is stored") }
    }

    /// No such prediction.
    #[must_use]
    pub fn unknown_prediction(prediction_id: &str) -> Self {
        Self::NotFound {
            reason: "PREDICTION_NOT_FOUND",
            message: format!("no prediction `{prediction_id}` is stored"),
        }
    }

    /// The code that a caller sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::NotFound { .. } => Code::NotFound,
            Self::Precondition { .. } => Code::FailedPrecondition,
            Self::AlreadyExists(_) => Code::AlreadyExists,
            Self::Aborted | Self::Conflict(_) => Code::Aborted,
            Self::StorageFull => Code::ResourceExhausted,
            Self::Unavailable(_) => Code::Unavailable,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Internal(_) => Code::Internal,
        }
    }

    const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "INVALID_REQUEST",
            Self::NotFound { reason, .. } | Self::Precondition { reason, .. } => reason,
            Self::AlreadyExists(_) => "OTHER_CONTENT_STORED",
            Self::Aborted | Self::Conflict(_) => "LOST_RACE",
            Self::StorageFull => "STORAGE_FULL",
            Self::Unavailable(_) => "STORE_UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// What a caller may read: nothing of our insides.
    fn public_message(&self) -> String {
        match self {
            Self::Unavailable(_) => "the database is not available; try again".to_owned(),
            Self::Internal(_) => "internal error; the server's log has the details".to_owned(),
            other => other.to_string(),
        }
    }
}

impl From<Error> for tonic::Status {
    fn from(error: Error) -> Self {
        match &error {
            Error::Internal(detail) => tracing::error!(detail, "internal error"),
            Error::Unavailable(detail) => tracing::warn!(detail, "the database is not available"),
            _ => {}
        }
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, HashMap::new());
        if let Error::Invalid(violations) = &error {
            let mut bytes = 0;
            let shown = violations.iter().take(VIOLATIONS).take_while(|violation| {
                let fits = bytes < VIOLATION_BYTES;
                bytes += violation.field.len() + violation.description.len();
                fits
            });
            details.set_bad_request(
                shown
                    .map(|v| FieldViolation::new(v.field.clone(), v.description.clone()))
                    .collect::<Vec<_>>(),
            );
        }
        Self::with_error_details(error.code(), error.public_message(), details)
    }
}

/// The refusal of a message above the limit.
#[must_use]
pub fn too_large(limit: usize) -> tonic::Status {
    let details = ErrorDetails::with_error_info("MESSAGE_TOO_LARGE", DOMAIN, HashMap::new());
    let message = format!("the message is larger than {limit} bytes; send it in parts");
    tonic::Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The `google.rpc.Status` of one item of a batch.
#[must_use]
pub fn item_status(error: Error) -> tonic_types::Status {
    let status = tonic::Status::from(error);
    // The details are an encoded google.rpc.Status already; an empty one stands for none.
    let details = tonic_types::Status::decode(status.details()).unwrap_or_default().details;
    tonic_types::Status { code: status.code() as i32, message: status.message().to_owned(), details }
}

impl From<Ineligible> for Error {
    fn from(why: Ineligible) -> Self {
        let (reason, message) = match why {
            Ineligible::NotALead => {
                ("NOT_A_LEAD", "the customer has bought before as_of_time; ask PredictChurn instead")
            }
            Ineligible::NotABuyer => {
                ("NOT_A_BUYER", "the customer has not bought up to as_of_time; ask ScoreLead instead")
            }
            Ineligible::AlreadyCancelled => {
                ("ALREADY_CANCELLED", "the customer has cancelled before as_of_time")
            }
        };
        Self::Precondition { reason, message: message.to_owned() }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::InvalidUrl(description) => Self::invalid("database", description),
            StoreError::Schema { reason, message } => Self::Precondition { reason, message },
            StoreError::AlreadyExists(message) => Self::AlreadyExists(message),
            StoreError::Aborted => Self::Aborted,
            StoreError::StorageFull => Self::StorageFull,
            StoreError::Unavailable(detail) => Self::Unavailable(detail),
            StoreError::Internal(detail) => Self::Internal(detail),
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ArtifactError> for Error {
    fn from(error: ArtifactError) -> Self {
        Self::Internal(format!("a stored model cannot be read: {error}"))
    }
}
