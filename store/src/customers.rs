//! Customers: the caller's own ids, names and attributes.

use async_trait::async_trait;
use tally_model::{history::Attributes, time::Time};

use crate::error::Result;

/// A customer to be stored.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// The caller's id.
    pub customer_id: String,
    /// None keeps the stored name.
    pub name: Option<String>,
    /// None keeps the stored time; for a new customer it means now.
    pub create_time: Option<Time>,
    /// The whole set of attributes.
    pub attributes: Attributes,
}

/// A stored customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// The caller's id.
    pub customer_id: String,
    /// May be empty.
    pub name: String,
    /// When the relation began.
    pub create_time: Time,
    /// The latest set of attributes.
    pub attributes: Attributes,
}

/// Stores and reads customers.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait CustomerStore: Send + Sync {
    /// Stores customers, all or none; their ids are distinct. A change of attributes or of `create_time` adds a
    /// version with the record time `now`.
    async fn upsert_customers(&self, customers: Vec<NewCustomer>, now: Time) -> Result<()>;
    /// Returns one customer, None when it is not stored.
    async fn customer(&self, customer_id: &str) -> Result<Option<Customer>>;
    /// Returns at most `limit` customers with an id above `after`, ordered by id.
    async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>>;
    /// Returns at most `limit` ids above `after`, in byte order.
    async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// Returns the number of customers.
    async fn count_customers(&self) -> Result<u64>;
    /// Erases a customer and everything stored about it; returns false when there was none.
    async fn delete_customer(&self, customer_id: &str) -> Result<bool>;
}
