//! Why a program ends without having done what it was asked to do, and its exit code.

use std::error::Error as StdError;

use tally_store::{BackupError, StoreError};
use tally_terminal::{StopSignal, exit};

use crate::{catalog::ModelName, lifecycle::training::JobError, platform::error::Error};

/// Any error.
pub type Failure = Box<dyn StdError>;

/// A signal ended the program.
#[derive(Debug, thiserror::Error)]
#[error("{signal}: {state}")]
pub struct Interrupted {
    /// The signal.
    pub signal: StopSignal,
    /// What is stored and what is not.
    pub state: String,
}

/// Something that is stored is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the database is damaged, as printed above; restore a backup")]
pub struct Damaged;

/// A model is stored, but may not serve.
#[derive(Debug, thiserror::Error)]
#[error("{0} is stored, but not promoted, since it fails a check; --promote always promotes it all the same")]
pub struct FailsCheck(pub ModelName);

/// The exit code of a program that ends with this error.
#[must_use]
pub fn exit_code(failure: &(dyn StdError + 'static)) -> u8 {
    if let Some(interrupted) = failure.downcast_ref::<Interrupted>() {
        return interrupted.signal.exit_code();
    }
    let is_refusal = failure.is::<FailsCheck>()
        || failure.is::<Damaged>()
        || failure.downcast_ref::<JobError>().is_some_and(JobError::is_refusal)
        || failure.downcast_ref::<Error>().is_some_and(Error::is_refusal)
        || failure.downcast_ref().is_some_and(is_refusal_of_store)
        || failure.downcast_ref().is_some_and(|error| match error {
            BackupError::Postgres | BackupError::Exists(_) => true,
            BackupError::File(..) => false,
            BackupError::Store(error) => is_refusal_of_store(error),
        });
    if is_refusal { exit::REFUSED } else { exit::FAILED }
}

const fn is_refusal_of_store(error: &StoreError) -> bool {
    matches!(error, StoreError::InvalidUrl(_) | StoreError::Schema { .. } | StoreError::Damaged(_))
}
