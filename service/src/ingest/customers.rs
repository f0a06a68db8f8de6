//! Customers: stored, read, listed and erased.

use std::sync::Arc;

use tally_store::{Actor, Customer, MergeResult, NewCustomer, StoredAttribute, Upserted};

use super::{Ingest, PendingWrite};
use crate::{
    histories::Survivors,
    platform::error::{Error, Result},
};

impl Ingest {
    /// Stores customers, all or none. Their ids are distinct. Attributes of the names `backfill` that a
    /// customer has never had count from its beginning on. Erased customers are left out.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn upsert_customers(
        &self,
        pending: PendingWrite,
        customers: Vec<NewCustomer>,
        backfill: Vec<String>,
    ) -> Result<Upserted> {
        let PendingWrite { write, record_time } = pending;
        let ids: Vec<String> = customers.iter().map(|customer| customer.customer_id.clone()).collect();
        if !backfill.is_empty() {
            self.begin_backfill(&ids, record_time);
        }
        let store = Arc::clone(&self.store);
        self.run(write, ids, async move { store.upsert_customers(customers, &backfill, record_time).await })
            .await
    }

    /// One customer, or the one that this id is merged into.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails.
    pub async fn customer(&self, customer_id: &str) -> Result<Customer> {
        let customer = self.store.customer(customer_id).await?;
        customer.ok_or_else(|| Error::unknown_customer(customer_id))
    }

    /// At most `limit` customers with an id above `after`, by id, without merged ids.
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

    /// The attributes in the current records of all customers, by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn attributes(&self) -> Result<Vec<StoredAttribute>> {
        Ok(self.store.attributes().await?)
    }

    /// Merges the customer `from` into `into`, which differs from it, from the record time on. Returns the
    /// united customer.
    ///
    /// # Errors
    /// NOT_FOUND when one is not stored; FAILED_PRECONDITION (ALREADY_MERGED) when an earlier merge
    /// contradicts this one; when the store fails.
    pub async fn merge_customers(
        &self,
        pending: PendingWrite,
        (from, into): (String, String),
        by: Actor,
    ) -> Result<Customer> {
        let PendingWrite { write, record_time } = pending;
        let (store, histories, listing) =
            (Arc::clone(&self.store), self.histories.clone(), self.listing.clone());
        let ids = vec![from.clone(), into.clone()];
        let merge = async move {
            let merge = store.merge_customers(&from, &into, record_time, &by);
            let update = |survivors: &Survivors, result: &MergeResult| {
                if let MergeResult::Merged { survivor } = result {
                    survivors.merged(&from, survivor);
                }
            };
            let merged = histories.merges().change(merge, update).await?;
            if let MergeResult::Merged { survivor } = &merged {
                listing.review(std::slice::from_ref(survivor)).await;
            }
            Ok(merged)
        };
        match self.run(write, ids, merge).await? {
            MergeResult::Merged { survivor } | MergeResult::Unchanged { survivor } => {
                self.customer(&survivor).await
            }
            MergeResult::Unknown { customer_id } => Err(Error::unknown_customer(&customer_id)),
            MergeResult::Contradiction { merged, survivor } => Err(Error::Precondition {
                reason: "ALREADY_MERGED",
                message: format!("customer `{merged}` is merged into `{survivor}` already"),
            }),
        }
    }

    /// Erases a customer and everything that is stored of it, with all ids that are merged into it.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails.
    pub async fn delete_customer(&self, customer_id: String, by: Actor) -> Result<()> {
        let survivor = self.histories.merges().of(&customer_id).unwrap_or_else(|| customer_id.clone());
        let ids = vec![customer_id.clone(), survivor.clone()];
        let (store, histories, id) = (Arc::clone(&self.store), self.histories.clone(), customer_id.clone());
        let now = self.clock.now();
        let delete = async move {
            let update = |survivors: &Survivors, _: &Option<Vec<String>>| survivors.erased(&survivor);
            let erased = histories.merges().change(store.delete_customer(&id, &by, now), update).await?;
            histories.forget(erased.as_deref().unwrap_or_default());
            Ok(erased.is_some())
        };
        let deleted = self.run(self.barrier.enter(), ids, delete).await?;
        if deleted { Ok(()) } else { Err(Error::unknown_customer(&customer_id)) }
    }
}
