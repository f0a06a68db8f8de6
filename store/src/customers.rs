//! Customers: the caller's own ids, names and attributes.

use std::collections::HashMap;

use async_trait::async_trait;
use tally_model::{history::Attributes, time::Time};

use crate::{audit::Actor, error::Result};

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
    /// The ids that are merged into this one, in the order of the merges.
    pub merged_customer_ids: Vec<String>,
}

/// The result of storing customers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upserted {
    /// The number of customers that were left out since they were erased.
    pub erased: usize,
    /// The number of customers whose past has attributes that it did not have.
    pub backfilled: usize,
    /// The number of stored predictions that were made from that past.
    pub outdated_predictions: usize,
}

/// An attribute in the current records of all customers, with the number of customers by the type of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAttribute {
    /// Its name.
    pub name: String,
    /// Customers with a number.
    pub numbers: i64,
    /// Customers with true or false.
    pub booleans: i64,
    /// Customers with a text.
    pub texts: i64,
}

/// Stores and reads customers.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait CustomerStore: Send + Sync {
    /// Stores customers, all or none; their ids are distinct. A change of attributes or of `create_time` adds a
    /// version with the record time `now`. Attributes of the names `backfill` that a customer has never had are known
    /// from its `create_time`, or from its first interaction where that is earlier. Customers that were erased stay so.
    async fn upsert_customers(
        &self,
        customers: Vec<NewCustomer>,
        backfill: &[String],
        now: Time,
    ) -> Result<Upserted>;
    /// Returns one customer, or the one that this id is merged into; None when it is not stored.
    async fn customer(&self, customer_id: &str) -> Result<Option<Customer>>;
    /// Returns at most `limit` customers with an id above `after`, ordered by id, without ids that are merged into
    /// others.
    async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>>;
    /// Returns the names of those of these customers that are stored.
    async fn customer_names(&self, customer_ids: &[String]) -> Result<HashMap<String, String>>;
    /// Returns at most `limit` ids above `after`, in byte order, without those that are merged into others.
    async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// Returns the number of customers, without ids that are merged into others.
    async fn count_customers(&self) -> Result<u64>;
    /// Returns the attributes in the current records of all customers, by name.
    async fn attributes(&self) -> Result<Vec<StoredAttribute>>;
    /// Erases a customer and everything stored about it, and the same of all ids that are the same customer; returns None
    /// when there was none. A keyed hash of each id stays, by which later writes of the customer are recognised and left
    /// out. Returns the erased ids, and the customers whose referrals had one of them and have it no more.
    async fn delete_customer(&self, customer_id: &str, by: &Actor, now: Time) -> Result<Option<Vec<String>>>;
    /// Lets erased customers be stored again. Returns how many of these ids were erased.
    async fn lift_erasures(&self, customer_ids: Vec<String>, by: &Actor, now: Time) -> Result<usize>;
}
