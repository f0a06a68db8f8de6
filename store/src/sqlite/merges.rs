//! Merges.

use super::Sqlite;
use crate::{
    error::Result,
    shared::{Transaction, merges::MergeSql},
};

impl MergeSql for Sqlite {
    /// As long as a transaction lasts, nobody else writes.
    async fn lock_customer(_: &mut Transaction<Self>, _: &str) -> Result<()> {
        Ok(())
    }
}
