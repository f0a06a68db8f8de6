//! Settings: values that belong to the deployment as a whole, such as the key that signs page tokens.

use async_trait::async_trait;

use crate::error::Result;

/// Reads settings.
#[async_trait]
pub trait SettingStore: Send + Sync {
    /// Returns the value of a setting, after storing `initial` when there is none. All servers on the same database
    /// get the same value.
    ///
    /// # Errors
    /// When the database fails.
    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>>;
}
