//! What the client can fail with, in words for the person at the terminal.

use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use indicatif::HumanCount;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{csv::CsvError, render::plain};

/// A result of the client.
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Why a command failed. Its text may have several lines.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file is not as it should be. Nothing of it was sent, unless it changed meanwhile.
    #[error("{0}")]
    Csv(#[from] CsvError),
    /// There is no server.
    #[error(
        "cannot reach {url} ({why}): is tally-serve running? --server or TALLY_SERVER names another address"
    )]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The connection broke.
    #[error("lost the connection to {url} ({why}): is tally-serve still running?")]
    Lost {
        /// The server's address.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The server answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The server did not do what the contract says.
    #[error("the server ended the call too early: {0}")]
    CutShort(String),
    /// An import stopped on the way.
    #[error("{cause}\n  {}", left_off(.file, *.lines, *.stored))]
    Import {
        /// The file.
        file: PathBuf,
        /// First and last line of the batch that failed.
        lines: Option<(u64, u64)>,
        /// How many rows of the file were stored before.
        stored: u64,
        /// What stopped it.
        cause: Box<Self>,
    },
    /// Some customers have no score; why was printed for each.
    #[error("{} of {} customers could not be scored", HumanCount(*.failed), HumanCount(*.asked))]
    NotScored {
        /// How many have none.
        failed: u64,
        /// How many were asked for.
        asked: u64,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

fn left_off(file: &Path, lines: Option<(u64, u64)>, stored: u64) -> String {
    let batch = match lines {
        Some((first, last)) if first == last => format!(" in line {first}"),
        Some((first, last)) => format!(" in the batch of lines {first} to {last}"),
        None => String::new(),
    };
    format!(
        "the import of {} stopped{batch}; {} of its rows are stored, and importing them again is harmless",
        file.display(),
        HumanCount(stored)
    )
}

impl ClientError {
    /// A failed call: the server's own answer, or the loss of the connection.
    #[must_use]
    pub fn of_call(url: &str, status: &Status) -> Self {
        // Only a status that was made on this side has a source.
        match status.source() {
            Some(source) => Self::Lost { url: url.to_owned(), why: root(source) },
            None => Self::Refused(Refusal::of(status)),
        }
    }
}

/// The innermost cause: the outer ones only say "transport error".
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// An error of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// The machine-readable reason of its `ErrorInfo`, empty when it has none.
    pub reason: String,
    /// Its sentence.
    pub message: String,
    /// What is wrong with which field.
    pub violations: Vec<(String, String)>,
    /// When it may be tried again.
    pub retry_seconds: Option<f64>,
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
        }
    }

    /// Puts `FILE line N` in place of every `LIST[n]`, where `lines` has the lines of the items sent.
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
            let (message, kind) = (plain(&self.message), self.code.description());
            let message = if message.is_empty() { kind } else { &message };
            let reason = if self.reason.is_empty() { kind } else { &self.reason };
            write!(f, "{message} ({})", plain(reason))?;
        } else {
            f.write_str("the server refused the request:")?;
            for (field, description) in &self.violations {
                write!(f, "\n  {}: {}", plain(field), plain(description))?;
            }
        }
        match self.retry_seconds {
            Some(seconds) => write!(f, "\n  try again in {seconds:.1} s"),
            None => Ok(()),
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
    fn violations_are_listed_and_other_errors_tell_their_reason() {
        let mut details = ErrorDetails::new();
        details.add_bad_request_violation("model", "is not a version of a churn model");
        details.add_bad_request_violation("max_reasons", "is −2");
        let status = Status::with_error_details(Code::InvalidArgument, "model: is not …", details);
        assert_eq!(
            Refusal::of(&status).to_string(),
            "the server refused the request:\n  model: is not a version of a churn model\n  max_reasons: is −2"
        );
        let details = ErrorDetails::with_error_info("MODEL_NOT_FOUND", "tally.v1", HashMap::new());
        let status = Status::with_error_details(Code::NotFound, "no model `churn/9` is stored", details);
        assert_eq!(Refusal::of(&status).to_string(), "no model `churn/9` is stored (MODEL_NOT_FOUND)");
        assert!(!Refusal::of(&Status::new(Code::Unimplemented, "")).to_string().is_empty());
    }
}
