//! The only mapping of the service's errors to gRPC statuses.

use std::collections::HashMap;

use prost::Message;
use tally_proto::limits::{MESSAGE_BYTES, VIOLATION_BYTES, VIOLATIONS};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::platform::error::{Error, Violation};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "tally.v1";

/// The code that a caller sees.
const fn code(error: &Error) -> Code {
    match error {
        Error::Invalid(_) => Code::InvalidArgument,
        Error::NotFound { .. } => Code::NotFound,
        Error::Precondition { .. } => Code::FailedPrecondition,
        Error::AlreadyExists(_) => Code::AlreadyExists,
        Error::Aborted | Error::Conflict(_) => Code::Aborted,
        Error::StorageFull => Code::ResourceExhausted,
        Error::Unavailable(_) => Code::Unavailable,
        Error::DeadlineExceeded => Code::DeadlineExceeded,
        Error::Internal(_) => Code::Internal,
    }
}

/// What a caller may read: no SQL, path or customer data.
fn public_message(error: &Error) -> String {
    match error {
        Error::Unavailable(_) => "the database is not available; try again".to_owned(),
        Error::Internal(_) => "internal error; the server's log has the details".to_owned(),
        other => other.to_string(),
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        match &error {
            Error::Internal(detail) => tracing::error!(detail, "internal error"),
            Error::Unavailable(detail) => tracing::warn!(detail, "the database is not available"),
            _ => {}
        }
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, HashMap::new());
        if let Error::Invalid(violations) = &error {
            details.set_bad_request(field_violations(violations));
        }
        Self::with_error_details(code(&error), public_message(&error), details)
    }
}

/// As many violations as fit into a header.
fn field_violations(violations: &[Violation]) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let shown = violations.iter().take(VIOLATIONS).take_while(|violation| {
        let fits = bytes < VIOLATION_BYTES;
        bytes += violation.field.len() + violation.description.len();
        fits
    });
    shown.map(|violation| FieldViolation::new(&violation.field, &violation.description)).collect()
}

/// The refusal of a message above `limit` bytes.
fn too_large(limit: usize) -> Status {
    let details = ErrorDetails::with_error_info("MESSAGE_TOO_LARGE", DOMAIN, HashMap::new());
    let message = format!("the message is larger than {limit} bytes; send it in parts");
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The `google.rpc.Status` of one item of a batch.
#[must_use]
pub(super) fn item_status(error: Error) -> tonic_types::Status {
    let status = Status::from(error);
    // The details are an encoded google.rpc.Status already; an empty one stands for none.
    let details = tonic_types::Status::decode(status.details()).unwrap_or_default().details;
    tonic_types::Status { code: status.code() as i32, message: status.message().to_owned(), details }
}

/// The contract's status in place of one that tonic made before any of our code ran. Statuses of ours
/// have details.
pub(super) fn contract_status(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        Code::OutOfRange => Some(too_large(MESSAGE_BYTES)),
        Code::Internal if status.message().starts_with("failed to decode") => {
            Some(Error::invalid("message", "is not a valid encoding of this RPC's request").into())
        }
        _ => None,
    }
}

/// The name of a code in the contract.
pub(super) const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
