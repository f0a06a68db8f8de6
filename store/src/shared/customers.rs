//! Customers.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::{history::Attributes, time::Time};

use super::{
    Backend, Engine, Stamp, Statement, Transaction,
    arrivals::KnownRow,
    attribute_backfill::backfill,
    changes::note_change,
    erasures::{erase, erased_among, lift},
    merges::merged_ids,
    transaction::repeatable,
};
use crate::{
    audit::Actor,
    customers::{Customer, CustomerStore, NewCustomer, StoredAttribute, Upserted},
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

    /// Locks customers, in the order of their ids, against other backfills and against those who pack their histories,
    /// but not against other new rows.
    fn lock_for_backfill(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Returns the latest version of each customer that has one.
    fn latest_versions(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
    ) -> impl Future<Output = Result<Vec<VersionRow>>> + Send;

    /// Updates customers.
    fn write_customers(
        tx: &mut Transaction<Self>,
        updates: &[CustomerUpdate],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Adds versions; replaces the attributes of those that are stored.
    fn write_versions(
        tx: &mut Transaction<Self>,
        versions: &[VersionWrite<'_>],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Returns those of these customers that exist.
    fn known_customers(
        tx: &mut Transaction<Self>,
        customer_ids: &[&str],
    ) -> impl Future<Output = Result<Vec<KnownRow>>> + Send;

    /// Creates customers of interactions, with the time of the earliest interaction; lowers `create_time` of those that
    /// only interactions have created.
    fn create_customers(
        tx: &mut Transaction<Self>,
        first_seen: &[(&str, Time)],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Returns the ids that exist and are not merged into others.
    fn existing(tx: &mut Transaction<Self>, ids: &[&str])
    -> impl Future<Output = Result<Vec<String>>> + Send;

    /// Counts the attributes of the latest versions: name, type as the database calls it, number.
    const COUNT_ATTRIBUTES: &'static str;
}

/// A customer with its latest attributes.
#[derive(FromRow)]
struct CustomerRow {
    customer_id: String,
    name: String,
    create_time: Stamp,
    attributes: Option<Json<Attributes>>,
    merged_into: Option<String>,
    has_merged: bool,
}

impl CustomerRow {
    fn into_customer(self, merged_customer_ids: Vec<String>) -> Customer {
        let row = self;
        Customer {
            merged_customer_ids,
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
    pub(super) create_time: Stamp,
    pub(super) revision: i64,
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

/// A version of a customer record on its way into the database.
pub(crate) struct VersionWrite<'a> {
    pub(crate) customer_id: &'a str,
    pub(crate) number: i64,
    pub(crate) effective_time: Time,
    pub(crate) record_time: Time,
    pub(crate) create_time: Time,
    pub(crate) attributes: &'a Attributes,
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

    /// The new version, if there is one.
    fn version_write(&self) -> Option<VersionWrite<'_>> {
        let NewVersion { number, effective_time, record_time } = self.version?;
        Some(VersionWrite {
            customer_id: &self.customer_id,
            number,
            effective_time,
            record_time,
            create_time: self.create_time,
            attributes: &self.attributes,
        })
    }
}

/// The updates that store these customers.
fn updates(
    customers: &[NewCustomer],
    locked: &HashMap<&str, &LockedRow>,
    versions: &[VersionRow],
    now: Time,
) -> Result<Vec<CustomerUpdate>> {
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
            "SELECT c.customer_id, c.name, c.create_time, c.merged_into, c.has_merged, \
             (SELECT v.attributes FROM customer_versions AS v WHERE v.customer_id = c.customer_id \
              ORDER BY v.version DESC LIMIT 1) AS attributes FROM customers AS c WHERE ",
            $condition
        )
    };
}

/// Stores customers, sorted by their ids, in one transaction.
async fn upsert<B: Backend>(
    store: &B,
    customers: &[NewCustomer],
    (names, now): (&[String], Time),
) -> Result<Upserted> {
    let mut tx = store.begin().await?;
    let (customers, erased) = without_erased(store, &mut tx, customers).await?;
    let customers = &*customers;
    if customers.is_empty() {
        return Ok(Upserted { erased, ..Upserted::default() });
    }
    let locked = B::lock_customers(&mut tx, customers, now).await?;
    check_created(store, &mut tx, &locked).await?;
    let locked = locked.iter().map(|row| (row.customer_id.as_str(), row)).collect();
    let (mut changed, backfilled) = backfill::<B>(&mut tx, customers, &locked, (names, now)).await?;
    let versions = B::latest_versions(&mut tx, customers).await?;
    let updates = updates(customers, &locked, &versions, now)?;
    B::write_customers(&mut tx, &updates).await?;
    let versions: Vec<_> = updates.iter().filter_map(CustomerUpdate::version_write).collect();
    B::write_versions(&mut tx, &versions).await?;
    changed.extend(versions.iter().map(|version| version.customer_id));
    B::forget_packed(&mut tx, &changed).await?;
    let ids = customers.iter().map(|customer| customer.customer_id.as_str()).collect();
    note_change(store, &mut tx, ids).await?;
    tx.commit().await?;
    Ok(Upserted { erased, ..backfilled })
}

/// Those of the customers that are not erased, and how many are.
async fn without_erased<'a, B: Backend>(
    store: &B,
    tx: &mut Transaction<B>,
    customers: &'a [NewCustomer],
) -> Result<(Cow<'a, [NewCustomer]>, usize)> {
    let ids: Vec<&str> = customers.iter().map(|customer| customer.customer_id.as_str()).collect();
    let erased = erased_among(store, tx, &ids).await?;
    if erased.is_empty() {
        return Ok((Cow::Borrowed(customers), 0));
    }
    let is_kept = |customer: &&NewCustomer| !erased.contains(&customer.customer_id);
    let kept: Vec<NewCustomer> = customers.iter().filter(is_kept).cloned().collect();
    Ok((Cow::Owned(kept), erased.len()))
}

/// Checks that none of the customers that were just created is one that others have created and erased meanwhile.
async fn check_created<B: Backend>(store: &B, tx: &mut Transaction<B>, locked: &[LockedRow]) -> Result<()> {
    let created = locked.iter().filter(|row| row.revision == 0).map(|row| row.customer_id.as_str());
    let created: Vec<&str> = if B::WRITES_ALONE { Vec::new() } else { created.collect() };
    match erased_among(store, tx, &created).await?.is_empty() {
        true => Ok(()),
        false => Err(StoreError::Aborted),
    }
}

/// The customers of the rows, each with the ids that are merged into it.
async fn with_merged_ids<B: Backend>(store: &B, rows: Vec<CustomerRow>) -> Result<Vec<Customer>> {
    let survivors: Vec<String> =
        rows.iter().filter(|row| row.has_merged).map(|row| row.customer_id.clone()).collect();
    let mut merged = match survivors.is_empty() {
        true => HashMap::new(),
        false => {
            let reading = store.unless_lost(async {
                let mut reader = store.reader().await?;
                let read = merged_ids::<B>(&mut reader, survivors).await;
                reader.end();
                read
            });
            reading.await?
        }
    };
    let customer = |row: CustomerRow| {
        let own = merged.remove(&row.customer_id).unwrap_or_default();
        row.into_customer(own.into_iter().map(|merged| merged.customer_id).collect())
    };
    Ok(rows.into_iter().map(customer).collect())
}

#[async_trait]
impl<B: Backend> CustomerStore for B {
    async fn upsert_customers(
        &self,
        mut customers: Vec<NewCustomer>,
        backfill: &[String],
        now: Time,
    ) -> Result<Upserted> {
        // Rows are locked in the order of their ids, so that two batches cannot deadlock.
        customers.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
        repeatable(self, (self.clone(), customers, backfill.to_vec()), move |shared| async move {
            let (store, customers, backfill) = &*shared;
            upsert(store, customers, (backfill, now)).await
        })
        .await
    }

    async fn customer(&self, customer_id: &str) -> Result<Option<Customer>> {
        let mut id = customer_id.to_owned();
        loop {
            let select = Statement::new(select_customers!("c.customer_id = $1")).bind(id.as_str());
            let Some(mut row) = self.read_one::<CustomerRow>(select).await? else { return Ok(None) };
            match row.merged_into.take() {
                Some(merged_into) => id = merged_into,
                None => return Ok(with_merged_ids(self, vec![row]).await?.pop()),
            }
        }
    }

    async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>> {
        let select = Statement::new(select_customers!(
            "c.customer_id > $1 AND c.merged_into IS NULL ORDER BY c.customer_id LIMIT $2"
        ))
        .bind(after)
        .bind(limit as i64);
        with_merged_ids(self, self.read::<CustomerRow>(select).await?).await
    }

    async fn customer_names(&self, customer_ids: &[String]) -> Result<HashMap<String, String>> {
        if customer_ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut select = Statement::new("SELECT customer_id, name FROM customers WHERE customer_id IN (");
        select.push_list(customer_ids.iter().map(|id| id.as_str().into())).push(")");
        Ok(self.read(select.planned_anew()).await?.into_iter().collect())
    }

    async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>> {
        let select = Statement::new(
            "SELECT customer_id FROM customers WHERE customer_id > $1 AND merged_into IS NULL \
             ORDER BY customer_id LIMIT $2",
        )
        .bind(after)
        .bind(limit as i64);
        Ok(self.read(select).await?.into_iter().map(|(customer_id,)| customer_id).collect())
    }

    async fn count_customers(&self) -> Result<u64> {
        self.count(Statement::new("SELECT count(*) FROM customers WHERE merged_into IS NULL")).await
    }

    async fn attributes(&self) -> Result<Vec<StoredAttribute>> {
        let mut found: BTreeMap<String, StoredAttribute> = BTreeMap::new();
        let rows: Vec<(String, String, i64)> =
            self.read(Statement::new(B::COUNT_ATTRIBUTES).lasting()).await?;
        for (name, of_type, count) in rows {
            let attribute = found.entry(name).or_default();
            *match of_type.as_str() {
                "number" | "integer" | "real" => &mut attribute.numbers,
                "boolean" | "true" | "false" => &mut attribute.booleans,
                _ => &mut attribute.texts,
            } += count;
        }
        Ok(found.into_iter().map(|(name, attribute)| StoredAttribute { name, ..attribute }).collect())
    }

    async fn delete_customer(&self, customer_id: &str, by: &Actor, now: Time) -> Result<Option<Vec<String>>> {
        let deleted =
            repeatable(self, (self.clone(), customer_id.to_owned(), by.clone()), move |shared| async move {
                let (store, customer_id, by) = &*shared;
                erase(store, customer_id, by, now).await
            })
            .await?;
        if deleted.is_some() {
            self.clean_up_after_erasure().await;
        }
        Ok(deleted)
    }

    async fn lift_erasures(&self, customer_ids: Vec<String>, by: &Actor, now: Time) -> Result<usize> {
        lift(self, customer_ids, by, now).await
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
