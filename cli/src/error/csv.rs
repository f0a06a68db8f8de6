//! What is wrong with a CSV file.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::output::printable;

/// What is wrong with a CSV file, and where.
#[derive(Debug, thiserror::Error)]
pub struct CsvError {
    pub(crate) file: PathBuf,
    /// As an editor counts them, from 1.
    pub(crate) line: Option<u64>,
    /// The column's name in the header.
    pub(crate) column: Option<String>,
    pub(crate) message: String,
}

impl CsvError {
    /// An error that is about the whole file.
    pub(crate) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, column: None, message: message.into() }
    }
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, " line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {}", printable(column))?;
        }
        write!(f, ": {}", printable(&self.message))
    }
}
