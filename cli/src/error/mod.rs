//! Why a command fails, as texts for the terminal.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use indicatif::HumanCount;
use tally_terminal::{StopSignal, counted, exit};
use tonic::Status;

mod csv;
mod flags;
mod refusal;

pub use csv::CsvError;
pub(crate) use flags::in_flags;
pub use refusal::Refusal;

/// Why a command failed. Its text may have several lines.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A CSV file is not as it should be. Nothing of it was sent, unless it changed during the import.
    #[error("{0}")]
    Csv(#[from] CsvError),
    /// Rows of the files are bad. Nothing is stored.
    #[error(
        "{}; nothing is stored:{text}\n  --skip-bad FILE imports the others, and --ignore COLUMN leaves a column out",
        counted(*.count, "bad row", "bad rows")
    )]
    BadRows {
        /// How many.
        count: u64,
        /// The first ones, one a line.
        text: String,
    },
    /// Files that would probably be stored otherwise than they are meant. Nothing is stored.
    #[error("nothing is stored, since this is probably not what is meant:{text}\n  {remedy}")]
    Doubts {
        /// The doubts, one a line.
        text: String,
        /// The options that import all the same.
        remedy: &'static str,
    },
    /// A file of the connection cannot be read.
    #[error("{flag}: {}: {why}", .file.display())]
    CertificateFile {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The token is none.
    #[error("TALLY_TOKEN or --token: a token is visible ASCII only, in one line")]
    NoToken,
    /// The certificates are for an encrypted connection, and the URL is for another one.
    #[error(
        "--ca and --cert are for servers with TLS, but {0} is not one; its URL would begin with https://"
    )]
    NotEncrypted(String),
    /// The certificates cannot be used.
    #[error("the certificates of --ca, --cert and --key cannot be used: {0}")]
    Tls(String),
    /// The system gives no random bytes for a token.
    #[error("the system gives no random numbers, so that no token was made")]
    NoRandomness,
    /// A token would have expired before it is made.
    #[error("--expires is not in the future")]
    ExpiredToken,
    /// The clock of the machine cannot be right.
    #[error("the clock of this machine shows a time before 1970; set it and start again")]
    WrongClock,
    /// No connection could be opened.
    #[error("cannot reach {url} ({why}): {}", connection_hint(.url, .why, "is tally-serve running?"))]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The connection broke.
    #[error("lost the connection to {url} ({why}): {}", connection_hint(.url, .why, "is tally-serve still running?"))]
    Lost {
        /// The server's address.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The server replied with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The server ended a call before the work was done, without an error.
    #[error("the server ended the call too early: {0}")]
    CutShort(String),
    /// An import stopped before the end of a file.
    #[error("{cause}\n  {}", import_stopped(.file, *.lines, *.stored))]
    Import {
        /// The file.
        file: PathBuf,
        /// First and last line of the batch that failed.
        lines: Option<(u64, u64)>,
        /// The number of rows of the file that are stored.
        stored: u64,
        /// What stopped it.
        cause: Box<Self>,
    },
    /// A file cannot be written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// Some customers have no score; the reason of each is printed.
    #[error("{} of {} could not be scored", HumanCount(*.failed), counted(*.asked, "customer", "customers"))]
    NotScored {
        /// The number of customers without a score.
        failed: u64,
        /// The number of customers asked for.
        asked: u64,
    },
    /// The audit log was changed, or events of it are missing.
    #[error("the audit log is broken at event {sequence}: {why}")]
    BrokenAudit {
        /// The first event that is wrong or missing.
        sequence: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// What cannot be undone was not confirmed. Nothing was done.
    #[error("{0}")]
    NotConfirmed(&'static str),
    /// A signal ended the command.
    #[error("{0}")]
    Interrupted(StopSignal),
    /// The system lets the program receive no signals.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

fn import_stopped(file: &Path, lines: Option<(u64, u64)>, stored: u64) -> String {
    let batch = match lines {
        Some((first, last)) if first == last => format!(" in line {first}"),
        Some((first, last)) => format!(" in the batch of lines {first} to {last}"),
        None => String::new(),
    };
    format!(
        "the import of {} stopped{batch}; {} stored, and importing them again is harmless",
        file.display(),
        counted(stored, "of its rows is", "of its rows are")
    )
}

/// What to do about a connection that cannot be used.
fn connection_hint(url: &str, why: &str, usual: &str) -> String {
    if why.contains("UnknownIssuer") {
        return "--ca or TALLY_CA names the file with the authority of the server's certificate".to_owned();
    }
    if why.contains("invalid peer certificate") {
        return "the server's certificate is not one for this address and time".to_owned();
    }
    if why.contains("CertificateRequired") {
        return "the server asks for a certificate; --cert and --key name one".to_owned();
    }
    if why.contains("received fatal alert") {
        return "the server does not take the certificate of --cert".to_owned();
    }
    // A connection that one side does not want is closed, which may be noticed before the reason arrives.
    let tls = match url.strip_prefix("http://") {
        Some(rest) => format!("with TLS its URL is https://{rest}"),
        None => "it may ask for a certificate, which --cert and --key name".to_owned(),
    };
    format!("{usual} --server or TALLY_SERVER names another address; {tls}")
}

impl ClientError {
    /// The exit code of the program, one of [`exit`] or that of the signal.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted(signal) => signal.exit_code(),
            Self::Import { cause, .. } => cause.exit_code(),
            Self::Refused(refusal) if !refusal.is_of_request() => exit::FAILED,
            Self::Csv(_)
            | Self::BadRows { .. }
            | Self::Doubts { .. }
            | Self::NotConfirmed(_)
            | Self::File(..)
            | Self::NotScored { .. }
            | Self::CertificateFile { .. }
            | Self::NoToken
            | Self::NotEncrypted(_)
            | Self::Tls(_)
            | Self::ExpiredToken
            | Self::Refused(_) => exit::REFUSED,
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::CutShort(_)
            | Self::BrokenAudit { .. }
            | Self::NoRandomness
            | Self::WrongClock
            | Self::Signals(_)
            | Self::Output(_) => exit::FAILED,
        }
    }

    /// The error of a failed call: the server's reply, or the loss of the connection.
    #[must_use]
    pub fn of_call(url: &str, status: &Status) -> Self {
        // Only a status that was made on this side has a source.
        match status.source() {
            Some(source) => Self::Lost { url: url.to_owned(), why: root_cause(source) },
            None => Self::Refused(Refusal::of(status)),
        }
    }
}

/// The text of the innermost cause: the outer ones only say "transport error".
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
