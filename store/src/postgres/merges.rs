//! Merges.

use super::{Postgres, keeps_statements};
use crate::{
    error::Result,
    shared::{Transaction, merges::MergeSql},
};

impl MergeSql for Postgres {
    /// Writers of the customer's rows lock it by their foreign keys, against which only this lock helps.
    async fn lock_customer(tx: &mut Transaction<Self>, customer_id: &str) -> Result<()> {
        sqlx::query("SELECT 1 FROM customers WHERE customer_id = $1 FOR UPDATE")
            .bind(customer_id)
            .persistent(keeps_statements(tx))
            .execute(&mut **tx)
            .await?;
        Ok(())
    }
}
