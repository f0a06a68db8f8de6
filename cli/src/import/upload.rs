//! How far a file is sent, and what an error says about it.

use std::path::Path;

use indicatif::HumanCount;
use tally_terminal::StopSignal;
use tonic::Status;

use crate::{connection::Connection, error::ClientError, output::counted};

/// A file that is being sent.
pub(super) struct Upload<'a> {
    server: &'a Connection,
    path: &'a Path,
    /// The name of the list of items in the request.
    list: &'static str,
    /// Rows that the server has acknowledged.
    pub(super) rows: u64,
}

impl<'a> Upload<'a> {
    pub(super) const fn new(server: &'a Connection, path: &'a Path, list: &'static str) -> Self {
        Self { server, path, list, rows: 0 }
    }

    /// The batch from `lines` failed.
    pub(super) fn failed(&self, lines: &[u64], status: &Status) -> ClientError {
        let cause = match self.server.error(status) {
            ClientError::Refused(refusal) => {
                ClientError::Refused(refusal.located(self.list, self.path, lines))
            }
            other => other,
        };
        self.import_error(lines.first().copied().zip(lines.last().copied()), cause)
    }

    /// A signal ended the import between batches.
    pub(super) fn interrupted(&self, signal: StopSignal) -> ClientError {
        self.stopped(ClientError::Interrupted(signal))
    }

    /// The import stopped between batches.
    pub(super) fn stopped(&self, cause: ClientError) -> ClientError {
        self.import_error(None, cause)
    }

    fn import_error(&self, lines: Option<(u64, u64)>, cause: ClientError) -> ClientError {
        ClientError::Import { file: self.path.to_owned(), lines, stored: self.rows, cause: Box::new(cause) }
    }

    /// Fails unless as many rows are acknowledged as the first pass has counted.
    pub(super) fn complete(&self, rows: u64) -> Result<(), ClientError> {
        if self.rows == rows {
            return Ok(());
        }
        let message = format!(
            "{} of {} acknowledged; did the file change during the import?",
            HumanCount(self.rows),
            counted(rows, "row was", "rows were")
        );
        Err(self.stopped(ClientError::CutShort(message)))
    }
}
