//! An error reply of the server, with its details.

use std::{fmt, path::Path};

use tally_proto::REQUEST_ID_HEADER;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::flags::{in_flags, of_field};
use crate::output::printable;

/// An error reply of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// The machine-readable reason of its `ErrorInfo`, empty when it has none.
    pub reason: String,
    /// The message for people.
    pub message: String,
    /// Fields of the request, each with what is wrong with it.
    pub violations: Vec<(String, String)>,
    /// Seconds after which the call may be retried, when the server says so.
    pub retry_seconds: Option<f64>,
    /// The id of the call, which its lines in the server's log carry.
    pub request_id: Option<String>,
}

impl Refusal {
    /// Reads a status and its details.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        Self {
            code: status.code(),
            reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
            message: status.message().to_owned(),
            violations: violations.iter().map(|v| (v.field.clone(), v.description.clone())).collect(),
            retry_seconds: details
                .retry_info()
                .and_then(|info| info.retry_delay)
                .map(|delay| delay.as_secs_f64()),
            request_id: status
                .metadata()
                .get(REQUEST_ID_HEADER)
                .and_then(|id| id.to_str().ok())
                .map(str::to_owned),
        }
    }

    /// Whether the request is refused for what it asks, so that it will be refused again. Otherwise the server is at
    /// fault, or too busy.
    #[must_use]
    pub const fn is_of_request(&self) -> bool {
        matches!(
            self.code,
            Code::InvalidArgument
                | Code::NotFound
                | Code::AlreadyExists
                | Code::FailedPrecondition
                | Code::OutOfRange
                | Code::PermissionDenied
                | Code::Unauthenticated
                | Code::Unimplemented
        )
    }

    /// Replaces every `LIST[n]` by `FILE line N`, where `lines` holds the line of each item of the request.
    #[must_use]
    pub fn located(mut self, list: &str, file: &Path, lines: &[u64]) -> Self {
        self.message = locate(&self.message, list, file, lines);
        for (field, description) in &mut self.violations {
            *field = locate(field, list, file, lines);
            *description = locate(description, list, file, lines);
        }
        self
    }
}

fn locate(text: &str, list: &str, file: &Path, lines: &[u64]) -> String {
    let opening = format!("{list}[");
    let mut parts = text.split(opening.as_str());
    let mut located = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let item = part.split_once(']').and_then(|(number, rest)| {
            let line = lines.get(number.parse::<usize>().ok()?)?;
            Some((line, rest))
        });
        match item {
            Some((line, rest)) => {
                let rest =
                    rest.strip_prefix('.').map_or_else(|| rest.to_owned(), |field| format!(", {field}"));
                located.push_str(&format!("{} line {line}{rest}", file.display()));
            }
            None => located.push_str(&format!("{opening}{part}")),
        }
    }
    located
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.violations.is_empty() {
            let (message, kind) = (printable(&in_flags(&self.message)), self.code.description());
            let message = if message.is_empty() { kind } else { &message };
            let reason = if self.reason.is_empty() { kind } else { &self.reason };
            write!(f, "{message} ({})", printable(reason))?;
        } else {
            f.write_str("the server refused the request:")?;
            for (field, description) in &self.violations {
                let (field, description) = (of_field(field), in_flags(description));
                write!(f, "\n  {}: {}", printable(&field), printable(&description))?;
            }
        }
        if self.code == Code::Unauthenticated {
            f.write_str("\n  TALLY_TOKEN or --token gives the token of the caller")?;
        }
        if let Some(seconds) = self.retry_seconds {
            write!(f, "\n  try again in {seconds:.1} s")?;
        }
        // The message of an internal error points to the log.
        match &self.request_id {
            Some(id) if self.code == Code::Internal => write!(f, "\n  request id: {}", printable(id)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn items_become_lines_of_the_file() {
        let file = Path::new("i.csv");
        let lines = [2, 3, 7];
        let text = locate("interactions[2].occur_time", "interactions", file, &lines);
        assert_eq!(text, "i.csv line 7, occur_time");
        let text = locate("is the same as customers[0]; once", "customers", file, &lines);
        assert_eq!(text, "is the same as i.csv line 2; once");
        for other in ["interactions", "interactions[9].kind", "interactions[x", "no item"] {
            assert_eq!(locate(other, "interactions", file, &lines), other);
        }
    }

    #[test]
    fn violations_are_listed_and_other_errors_show_their_reason() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("model", "is not a version of a churn model");
        details.add_bad_request_violation("compare_to_time", "is 3, after as_of_time 2");
        let status = Status::with_error_details(Code::InvalidArgument, "model: is not …", details);
        assert_eq!(
            Refusal::of(&status).to_string(),
            "the server refused the request:\n  model: is not a version of a churn model\n  \
             --compare-to: is 3, after --as-of 2"
        );
        let details = ErrorDetails::with_error_info("MODEL_NOT_FOUND", "tally.v1", HashMap::new());
        let status = Status::with_error_details(Code::NotFound, "no model `churn/9` is stored", details);
        assert_eq!(Refusal::of(&status).to_string(), "no model `churn/9` is stored (MODEL_NOT_FOUND)");
        assert!(!Refusal::of(&Status::new(Code::Unimplemented, "")).to_string().is_empty());
    }

    #[test]
    fn an_internal_error_shows_its_request_id() {
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert(REQUEST_ID_HEADER, "9f-7".parse().unwrap());
        let status = Status::with_metadata(Code::Internal, "internal error", metadata);
        assert!(Refusal::of(&status).to_string().ends_with("\n  request id: 9f-7"));
    }
}
