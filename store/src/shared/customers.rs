//! Customers.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::{history::Attributes, time::Time};

use super::{
    Backend, Engine, Stamp, Statement, Transaction,
    changes::note_change,
    transaction::{detached, repeatable},
};
use crate::{
    customers::{Customer, CustomerStore, NewCustomer},
    error::{Result, StoreError},
};

/// What differs between the databases.
pub(crate) trait CustomerSql: Engine {
    /// Creates the customers that do not exist, locks the rows of all of them, and returns each as it was before.
    fn lock_customers(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
        now: Time,
    ) -> impl Future<Output = Result<Vec<LockedRow>>> + Send;

    /// Returns the latest version of each customer that has one.
    fn latest_versions(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
    ) -> impl Future<Output = Result<Vec<VersionRow>>> + Send;

    /// Updates customers and adds their new versions.
    fn write_customers(
        tx: &mut Transaction<Self>,
        updates: &[CustomerUpdate],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Creates the customers of interactions that do not exist, with the time of the earliest interaction; lowers
    /// `create_time` of those that only interactions have created.
    fn create_customers(
        tx: &mut Transaction<Self>,
        first_seen: &[(&str, Time)],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Returns the ids that exist.
    fn existing(tx: &mut Transaction<Self>, ids: &[&str])
    -> impl Future<Output = Result<Vec<String>>> + Send;
}

/// A customer with its latest attributes.
#[derive(FromRow)]
struct CustomerRow {
    customer_id: String,
    name: String,
    create_time: Stamp,
    attributes: Option<Json<Attributes>>,
}

impl From<CustomerRow> for Customer {
    fn from(row: CustomerRow) -> Self {
        Self {
            customer_id: row.customer_id,
            name: row.name,
            create_time: row.create_time.0,
            attributes: row.attributes.map(|json| json.0).unwrap_or_default(),
        }
    }
}

/// A customer that an upsert has locked, as it was before.
#[derive(FromRow)]
pub(crate) struct LockedRow {
    customer_id: String,
    name: String,
    create_time: Stamp,
    revision: i64,
}

/// The latest version of a customer record.
#[derive(FromRow)]
pub(crate) struct VersionRow {
    customer_id: String,
    version: i64,
    create_time: Stamp,
    attributes: Json<Attributes>,
}

/// What an upsert writes of one customer.
pub(crate) struct CustomerUpdate {
    pub(crate) customer_id: String,
    pub(crate) name: String,
    pub(crate) create_time: Time,
    pub(crate) attributes: Attributes,
    /// The new version, if the content is new.
    pub(crate) version: Option<NewVersion>,
}

/// A new version of a customer record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewVersion {
    pub(crate) number: i64,
    pub(crate) effective_time: Time,
    pub(crate) record_time: Time,
}

impl CustomerUpdate {
    /// The update that stores `wanted`, given the locked row and its latest version.
    fn new(wanted: NewCustomer, locked: &LockedRow, last: Option<&VersionRow>, now: Time) -> Self {
        let create_time = wanted.create_time.unwrap_or(locked.create_time.0);
        let new =
            |number, effective_time, record_time| Some(NewVersion { number, effective_time, record_time });
        let version = match last {
            Some(last) if last.attributes.0 == wanted.attributes && last.create_time.0 == create_time => None,
            Some(last) => new(last.version + 1, now, now),
            // The first version is effective from the beginning. It counts as known from then on, unless the
            // customer existed without it: scores that did not know it must stay reproducible.
            None if locked.revision == 0 => new(1, create_time, create_time.min(now)),
            None => new(1, create_time, now),
        };
        let name = wanted.name.unwrap_or_else(|| locked.name.clone());
        Self { customer_id: wanted.customer_id, name, create_time, attributes: wanted.attributes, version }
    }
}

/// The updates that store these customers.
fn updates(
    customers: &[NewCustomer],
    locked: &[LockedRow],
    versions: &[VersionRow],
    now: Time,
) -> Result<Vec<CustomerUpdate>> {
    let locked: HashMap<&str, &LockedRow> =
        locked.iter().map(|row| (row.customer_id.as_str(), row)).collect();
    let versions: HashMap<&str, &VersionRow> =
        versions.iter().map(|row| (row.customer_id.as_str(), row)).collect();
    let update = |customer: &NewCustomer| {
        let id = customer.customer_id.as_str();
        let row = locked.get(id).ok_or_else(|| StoreError::Internal("an upserted row is gone".into()))?;
        Ok(CustomerUpdate::new(customer.clone(), row, versions.get(id).copied(), now))
    };
    customers.iter().map(update).collect()
}

/// `SELECT` of a [`CustomerRow`] up to the condition; `c` is the customer.
macro_rules! select_customers {
    ($condition:literal) => {
        concat!(
            "SELECT c.customer_id, c.name, c.create_time, \
             (SELECT v.attributes FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
              ORDER BY v.version DESC LIMIT 1) AS attributes FROM customers AS c WHERE ",
            $condition
        )
    };
}

#[async_trait]
impl<B: Backend> CustomerStore for B {
    async fn upsert_customers(&self, mut customers: Vec<NewCustomer>, now: Time) -> Result<()> {
        // Rows are locked in the order of their ids, so that two batches cannot deadlock.
        customers.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
        repeatable((self.clone(), customers), move |shared| async move {
            let (store, customers) = &*shared;
            let mut tx = store.begin().await?;
            let locked = B::lock_customers(&mut tx, customers, now).await?;
            let versions = B::latest_versions(&mut tx, customers).await?;
            let updates = updates(customers, &locked, &versions, now)?;
            B::write_customers(&mut tx, &updates).await?;
            let changed = updates.iter().filter(|update| update.version.is_some());
            let changed: Vec<&str> = changed.map(|update| update.customer_id.as_str()).collect();
            B::forget_packed(&mut tx, &changed).await?;
            let ids = customers.iter().map(|customer| customer.customer_id.as_str()).collect();
            note_change(store, &mut tx, ids).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn customer(&self, customer_id: &str) -> Result<Option<Customer>> {
        let select = Statement::new(select_customers!("c.customer_id = $1")).bind(customer_id);
        Ok(self.read_one::<CustomerRow>(select).await?.map(Customer::from))
    }

    async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>> {
        let select = Statement::new(select_customers!("c.customer_id > $1 ORDER BY c.customer_id LIMIT $2"))
            .bind(after)
            .bind(limit as i64);
        Ok(self.read::<CustomerRow>(select).await?.into_iter().map(Customer::from).collect())
    }

    async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let select = Statement::new(
            "SELECT customer_id FROM customers WHERE customer_id > $1 ORDER BY customer_id LIMIT $2",
        )
        .bind(after)
        .bind(limit as i64);
        Ok(self.read(select).await?.into_iter().map(|(customer_id,)| customer_id).collect())
    }

    async fn count_customers(&self) -> Result<u64> {
        self.count(Statement::new("SELECT count(*) FROM customers")).await
    }

    async fn delete_customer(&self, customer_id: &str) -> Result<bool> {
        let delete = Statement::new("DELETE FROM customers WHERE customer_id = $1 RETURNING customer_id")
            .bind(customer_id);
        // This table has no foreign key. Writers of predictions keep the customer until they are done.
        let delete_latest =
            Statement::new("DELETE FROM latest_predictions WHERE customer_id = $1").bind(customer_id);
        let store = self.clone();
        detached(async move {
            let mut tx = store.begin().await?;
            let deleted: Vec<(String,)> = B::run(&mut tx, delete).await?;
            B::run::<()>(&mut tx, delete_latest).await?;
            let ids = deleted.iter().map(|(customer_id,)| customer_id.as_str()).collect();
            note_change(&store, &mut tx, ids).await?;
            tx.commit().await?;
            Ok(!deleted.is_empty())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(create_time: Option<Time>) -> NewCustomer {
        NewCustomer { customer_id: "c".into(), name: None, create_time, attributes: Attributes::default() }
    }

    fn locked(revision: i64) -> LockedRow {
        LockedRow { customer_id: "c".into(), name: "Ada".into(), create_time: Stamp(Time(50)), revision }
    }

    fn version(
        wanted: NewCustomer,
        locked: &LockedRow,
        last: Option<&VersionRow>,
    ) -> Option<(i64, Time, Time)> {
        let version = CustomerUpdate::new(wanted, locked, last, Time(100)).version;
        version.map(|version| (version.number, version.effective_time, version.record_time))
    }

    #[test]
    fn the_first_version_of_a_new_customer_is_known_from_the_beginning() {
        assert_eq!(version(wanted(Some(Time(7))), &locked(0), None), Some((1, Time(7), Time(7))));
        assert_eq!(version(wanted(Some(Time(170))), &locked(0), None), Some((1, Time(170), Time(100))));
    }

    #[test]
    fn the_first_version_of_an_existing_customer_is_known_from_now_on() {
        assert_eq!(version(wanted(None), &locked(1), None), Some((1, Time(50), Time(100))));
    }

    #[test]
    fn only_new_content_adds_a_version() {
        let last = VersionRow {
            customer_id: "c".into(),
            version: 3,
            create_time: Stamp(Time(50)),
            attributes: Json(Attributes::default()),
        };
        assert_eq!(version(wanted(None), &locked(4), Some(&last)), None);
        assert_eq!(version(wanted(Some(Time(51))), &locked(4), Some(&last)), Some((4, Time(100), Time(100))));
    }

    #[test]
    fn an_unnamed_customer_keeps_its_name() {
        assert_eq!(CustomerUpdate::new(wanted(None), &locked(1), None, Time(100)).name, "Ada");
    }
}
