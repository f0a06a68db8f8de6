//! Customers: stored, read, listed and erased.

use std::sync::Arc;

use tally_store::{Customer, NewCustomer};

use super::{Ingest, PendingWrite};
use crate::platform::error::{Error, Result};

impl Ingest {
    /// Stores customers, all or none. Their ids are distinct.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn upsert_customers(&self, pending: PendingWrite, customers: Vec<NewCustomer>) -> Result<()> {
        let PendingWrite { write, record_time } = pending;
        let ids = customers.iter().map(|customer| customer.customer_id.clone()).collect();
        let store = Arc::clone(&self.store);
        self.run(write, ids, async move { store.upsert_customers(customers, record_time).await }).await
    }

    /// One customer.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails.
    pub async fn customer(&self, customer_id: &str) -> Result<Customer> {
        let customer = self.store.customer(customer_id).await?;
        customer.ok_or_else(|| Error::unknown_customer(customer_id))
    }

    /// At most `limit` customers with an id above `after`, by id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>> {
        Ok(self.store.customers(after, limit).await?)
    }

    /// How many customers there are.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_customers(&self) -> Result<u64> {
        Ok(self.store.count_customers().await?)
    }

    /// Erases a customer and everything that is stored of it.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails.
    pub async fn delete_customer(&self, customer_id: String) -> Result<()> {
        let (store, id) = (Arc::clone(&self.store), customer_id.clone());
        let delete = async move { store.delete_customer(&id).await };
        let deleted = self.run(self.barrier.enter(), vec![customer_id.clone()], delete).await?;
        if deleted { Ok(()) } else { Err(Error::unknown_customer(&customer_id)) }
    }
}
