//! Settings: values that belong to the deployment as a whole, such as the key that signs page tokens.

use async_trait::async_trait;

use crate::{audit::NewAuditEvent, error::Result};

/// Reads and changes settings.
#[async_trait]
pub trait SettingStore: Send + Sync {
    /// Returns the value of a setting, after storing `initial`, and the event in the audit log, when there is none. All
    /// servers on the same database get the same value.
    ///
    /// # Errors
    /// When the database fails.
    async fn setting(&self, name: &str, initial: &[u8], event: Option<NewAuditEvent>) -> Result<Vec<u8>>;

    /// Returns the value of a setting, if there is one.
    ///
    /// # Errors
    /// When the database fails.
    async fn stored_setting(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Stores the value of a setting in place of any other, and the event in the audit log, both or neither.
    ///
    /// # Errors
    /// When the database fails.
    async fn replace_setting(&self, name: &str, value: &[u8], event: NewAuditEvent) -> Result<()>;
}
