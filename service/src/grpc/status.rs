//! The only mapping of the service's errors to gRPC statuses.

use std::{collections::HashMap, fmt::Display, time::Duration};

use prost::Message;
use tally_proto::limits::{MESSAGE_BYTES, METADATA_BYTES, VIOLATION_BYTES, VIOLATIONS};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::{
    platform::error::{Error, Violation},
    security::Refusal,
};

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "tally.v1";
/// How tonic's statuses about a message begin that is too large after decompression, or damaged.
const DECOMPRESSING: &str = "Error decompressing";
/// The header with which a server lists the compressions that it knows.
const ACCEPTED_ENCODINGS: &str = "grpc-accept-encoding";

/// The code that a caller sees.
const fn code(error: &Error) -> Code {
    match error {
        Error::Invalid(_) => Code::InvalidArgument,
        Error::NotFound { .. } | Error::UnknownInteraction(_) => Code::NotFound,
        Error::Precondition { .. } => Code::FailedPrecondition,
        Error::AlreadyExists(_) => Code::AlreadyExists,
        Error::Aborted | Error::Conflict(_) => Code::Aborted,
        Error::StorageFull => Code::ResourceExhausted,
        Error::Unavailable(_) => Code::Unavailable,
        Error::DeadlineExceeded => Code::DeadlineExceeded,
        Error::Internal(_) => Code::Internal,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        about(&[])(error)
    }
}

/// The refusal of a caller.
impl From<&Refusal> for Status {
    fn from(refusal: &Refusal) -> Self {
        let code = match refusal {
            Refusal::TooManyFailures { .. } => Code::ResourceExhausted,
            _ if refusal.is_of_known_caller() => Code::PermissionDenied,
            _ => Code::Unauthenticated,
        };
        let metadata = match refusal {
            Refusal::Scope { scope, .. } => HashMap::from([("scope".to_owned(), scope.to_string())]),
            _ => HashMap::new(),
        };
        let mut details = ErrorDetails::with_error_info(refusal.reason(), DOMAIN, metadata);
        if let Refusal::TooManyFailures { wait } = refusal {
            details.set_retry_info(Some(*wait));
        }
        Self::with_error_details(code, refusal.to_string(), details)
    }
}

/// Maps an error of a call about these things, such as `("customer_id", …)`, which callers find in
/// `ErrorInfo.metadata`.
pub(super) fn about<'a>(things: &'a [(&'a str, &'a dyn Display)]) -> impl Fn(Error) -> Status + 'a {
    move |error| {
        match &error {
            Error::Internal(detail) => tracing::error!(detail, "internal error"),
            Error::Unavailable(detail) => tracing::warn!(detail, "the database is not available"),
            Error::StorageFull => {
                tracing::error!("the disk of the database is full, or a file at its largest size");
            }
            _ => {}
        }
        let mut metadata = error_metadata(&error);
        let things = things.iter().map(|(name, thing)| ((*name).to_owned(), thing.to_string()));
        metadata.extend(things.filter(|(_, thing)| !thing.is_empty()));
        let mut details = ErrorDetails::with_error_info(error.reason(), DOMAIN, metadata);
        if let Error::Invalid(violations) = &error {
            details.set_bad_request(field_violations(violations));
        }
        Status::with_error_details(code(&error), error.public_message(), details)
    }
}

/// What an error itself knows of what it is about.
fn error_metadata(error: &Error) -> HashMap<String, String> {
    let known: Vec<(&str, String)> = match error {
        Error::AlreadyExists(item) | Error::UnknownInteraction(item) => vec![
            ("index", item.index.to_string()),
            ("customer_id", item.customer_id.clone()),
            ("interaction_id", item.interaction_id.clone()),
        ],
        Error::NotFound { about, .. } => about.clone(),
        Error::Invalid(violations) => violations.first().map(of_field).unwrap_or_default(),
        _ => Vec::new(),
    };
    known.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// An invalid field, such as `customers[3].name`, and the place of its item.
fn of_field(Violation { field, .. }: &Violation) -> Vec<(&'static str, String)> {
    let index = field.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let index = index.filter(|(index, _)| index.parse::<usize>().is_ok());
    let index = index.map(|(index, _)| ("index", index.to_owned()));
    std::iter::once(("field", field.clone())).chain(index).collect()
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

/// Why a server does not take on a call now.
pub(super) enum Overload {
    /// As many calls of its class run and wait as can be answered in time.
    Busy,
    /// The calls in flight hold all the memory that there is for them.
    Memory,
    /// The caller has used up its quota; when it may call again.
    Quota(Duration),
}

impl Overload {
    /// All machine-readable reasons.
    pub(super) const REASONS: [&str; 3] = ["SERVER_BUSY", "OUT_OF_MEMORY_IN_FLIGHT", "QUOTA_EXCEEDED"];

    /// The machine-readable reason.
    pub(super) const fn reason(&self) -> &'static str {
        let [busy, memory, quota] = Self::REASONS;
        match self {
            Self::Busy => busy,
            Self::Memory => memory,
            Self::Quota(_) => quota,
        }
    }

    /// After which time it is worth to call again.
    const fn retry_delay(&self) -> Duration {
        match self {
            Self::Busy => Duration::from_millis(200),
            Self::Memory => Duration::from_millis(500),
            Self::Quota(wait) => *wait,
        }
    }
}

/// The refusal of a call for which there is no room.
pub(super) fn overloaded(overload: &Overload) -> Status {
    let message = match overload {
        Overload::Busy => "the server is busy with calls of this kind; try again after retry_delay",
        Overload::Memory => "the calls in flight hold all the memory for them; try again after retry_delay",
        Overload::Quota(_) => "the quota of calls a second is used up; try again after retry_delay",
    };
    let mut details = ErrorDetails::with_error_info(overload.reason(), DOMAIN, HashMap::new());
    details.set_retry_info(Some(overload.retry_delay()));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// A status of the transport, with its reason.
fn of_transport(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

/// The end of a call whose caller has reset it, or is gone.
pub(super) fn caller_has_gone() -> Status {
    of_transport(Code::Cancelled, "CALLER_GONE", "the caller has cancelled the call or is gone")
}

/// The refusal of a call whose message takes too long to arrive.
pub(super) fn not_sent(within: Duration) -> Status {
    let message = format!("the message was not sent within {within:?}");
    of_transport(Code::DeadlineExceeded, "MESSAGE_NOT_SENT", message)
}

/// The end of a response that its caller does not read.
pub(super) fn not_read(within: Duration) -> Status {
    let message = format!("nothing of the response was read for {within:?}; call again");
    of_transport(Code::DeadlineExceeded, "RESPONSE_NOT_READ", message)
}

/// The end of a stream because the server stops.
pub(super) fn stopping() -> Status {
    of_transport(Code::Unavailable, "SERVER_STOPPING", "the server is stopping; call again")
}

/// The refusal of a message above `limit` bytes.
pub(super) fn too_large(limit: usize) -> Status {
    let details = ErrorDetails::with_error_info("MESSAGE_TOO_LARGE", DOMAIN, limit_metadata(limit));
    let message = format!("the message is larger than {limit} bytes, decompressed; send it in parts");
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The refusal of a call with `bytes` of metadata.
pub(super) fn metadata_too_large(bytes: usize) -> Status {
    let details = ErrorDetails::with_error_info("METADATA_TOO_LARGE", DOMAIN, limit_metadata(METADATA_BYTES));
    let message = format!(
        "the metadata of the call has {bytes} bytes, counting 32 for each header; allowed are up to \
         {METADATA_BYTES} (16 KiB)"
    );
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

fn limit_metadata(limit: usize) -> HashMap<String, String> {
    HashMap::from([("limit".to_owned(), limit.to_string())])
}

/// The refusal of a compression that the server does not know, with the header that lists those that it knows.
fn unknown_encoding(status: &Status) -> Status {
    let details = ErrorDetails::with_error_info("UNKNOWN_COMPRESSION", DOMAIN, HashMap::new());
    let message = "grpc-encoding is unknown; allowed are gzip, zstd and identity";
    Status::with_error_details_and_metadata(Code::Unimplemented, message, details, status.metadata().clone())
}

/// The refusal of an RPC that does not exist.
pub(super) fn unknown_method() -> Status {
    let details = ErrorDetails::with_error_info("UNKNOWN_METHOD", DOMAIN, HashMap::new());
    let message = "this server has no such RPC; its reflection lists those that it has";
    Status::with_error_details(Code::Unimplemented, message, details)
}

/// The `google.rpc.Status` of one item of a batch.
#[must_use]
pub(super) fn item_status(status: &Status) -> tonic_types::Status {
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
        Code::ResourceExhausted if status.message().starts_with(DECOMPRESSING) => {
            Some(too_large(MESSAGE_BYTES))
        }
        Code::Internal if status.message().starts_with(DECOMPRESSING) => {
            Some(Error::invalid("message", "cannot be decompressed by its grpc-encoding").into())
        }
        Code::Unimplemented if status.metadata().contains_key(ACCEPTED_ENCODINGS) => {
            Some(unknown_encoding(status))
        }
        Code::Internal if status.message().starts_with("failed to decode") => {
            Some(Error::invalid("message", "is not a valid encoding of this RPC's request").into())
        }
        Code::Internal if status.message().contains("compressed-flag") => {
            // The code is what gRPC demands here.
            let message = "a message is compressed, but the call has no grpc-encoding";
            Some(of_transport(Code::Internal, "COMPRESSION_WITHOUT_ENCODING", message))
        }
        Code::Internal if status.message().contains("invalid compression flag") => {
            let allowed =
                "begins with a flag that is not known; allowed are 0 and 1, for a compressed message";
            Some(Error::invalid("message", allowed).into())
        }
        Code::Unimplemented => Some(unknown_method()),
        _ => None,
    }
}

/// The status of a broken message of a stream, the batch of this number.
pub(super) fn broken_batch(status: &Status, number: usize) -> Status {
    let status = contract_status(status).unwrap_or_else(|| status.clone());
    let mut details = status.get_error_details();
    if let Some(mut info) = details.error_info().cloned() {
        info.metadata.insert("batch".to_owned(), number.to_string());
        details.set_error_info(info.reason, info.domain, info.metadata);
    }
    Status::with_error_details(status.code(), status.message(), details)
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
