//! Affinities: what customers buy together, and what one of them may buy next.
//!
//! They belong to a pass and a property, and are computed when they are first asked for. A pass is not slowed down by
//! what nobody asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tally_model::{
    insight::{Affinity, AffinityIndex, NextToBuy},
    time::Time,
};
use tally_proto::limits;
use tally_store::{AffinityList, BasketQuery, NewAffinityList, Pass};
use tracing::Instrument;

use super::{Insights, passes::NOBODY};
use crate::platform::{
    blocking::run_blocking,
    error::{Error, Result},
};

/// The index of the list that was asked for last, with the number of the list: what a list has does not change.
#[derive(Default)]
pub(super) struct IndexCache(Mutex<Option<(i64, Arc<AffinityIndex>)>>);

impl IndexCache {
    fn get(&self, list_id: i64) -> Option<Arc<AffinityIndex>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|(of, _)| *of == list_id).map(|(_, index)| Arc::clone(index))
    }

    fn keep(&self, list_id: i64, index: Arc<AffinityIndex>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((list_id, index));
    }
}

impl Insights {
    /// The affinities of a property in a pass, which are computed if nobody has asked for them before. Callers who want
    /// the same ones share them.
    ///
    /// # Errors
    /// ABORTED when the pass is gone; when the store fails.
    pub async fn affinity_list(&self, pass: &Pass, property: &str) -> Result<AffinityList> {
        if let Some(list) = self.stored_affinities(pass, property).await? {
            return Ok(list);
        }
        let computing = Arc::clone(&self.affinities).lock_owned().await;
        if let Some(list) = self.stored_affinities(pass, property).await? {
            return Ok(list);
        }
        let (insights, pass, property) = (self.clone(), pass.clone(), property.to_owned());
        let computed = async move {
            let _computing = computing;
            insights.report(insights.compute_affinities(&pass, property)).await
        };
        // Runs to its end, since the next caller needs the result as well.
        let computed = tokio::spawn(computed.in_current_span()).await;
        computed.map_err(|error| Error::Internal(format!("affinities: {error}")))?
    }

    /// The list that a page follows.
    ///
    /// # Errors
    /// ABORTED when it is gone: another one has taken its place; when the store fails.
    pub async fn affinity_list_of_page(&self, list_id: i64) -> Result<AffinityList> {
        let gone = || Error::Conflict("these affinities were replaced; list from the first page".to_owned());
        self.store.affinity_list_of_id(list_id).await?.ok_or_else(gone)
    }

    /// At most `limit` affinities of a list after a place, with their places.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn affinities(
        &self,
        list: &AffinityList,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Affinity)>> {
        Ok(self.store.affinities(list.list_id, after, limit).await?)
    }

    /// What customers are likely to buy next, by the affinities of a pass. Affinities from before an erasure or a merge are
    /// used, too: they have nothing of any customer, and computing them takes far longer than reading a customer.
    /// ListAffinities computes them again.
    pub(super) async fn next_to_buy(
        &self,
        pass: &Pass,
        customer_ids: &[String],
        as_of: Time,
    ) -> Result<HashMap<String, Vec<NextToBuy>>> {
        let spec = &pass.population.spec;
        let property = &spec.affinity.property;
        let list = match self.store.affinity_list(pass.pass_id, property).await? {
            Some(list) => list,
            None => self.affinity_list(pass, property).await?,
        };
        let after = as_of.plus_days(-i64::from(spec.window_days));
        let bought = self.store.values_bought(&list, customer_ids, as_of).await?;
        if bought.is_empty() {
            return Ok(HashMap::new());
        }
        let index = self.affinity_index(list.list_id).await?;
        let next = |bought: Vec<_>| index.next_to_buy(&bought, after, limits::NEXT_TO_BUY);
        Ok(bought.into_iter().map(|(id, bought)| (id, next(bought))).collect())
    }

    async fn affinity_index(&self, list_id: i64) -> Result<Arc<AffinityIndex>> {
        if let Some(kept) = self.affinity_index.get(list_id) {
            return Ok(kept);
        }
        let index = Arc::new(self.store.affinity_index(list_id).await?);
        self.affinity_index.keep(list_id, Arc::clone(&index));
        Ok(index)
    }

    /// The list that is stored, unless a customer was erased or merged since it was computed.
    async fn stored_affinities(&self, pass: &Pass, property: &str) -> Result<Option<AffinityList>> {
        let stored = self.store.affinity_list(pass.pass_id, property).await?;
        Ok(stored.filter(|stored| stored.content.revision >= pass.revision))
    }

    async fn compute_affinities(&self, pass: &Pass, property: String) -> Result<AffinityList> {
        self.scoring.wait_for_writes().await;
        let known_at = self.clock.now();
        let window_days = i64::from(pass.population.spec.window_days);
        let query = BasketQuery {
            property: &property,
            after: pass.as_of.plus_days(-window_days),
            until: pass.as_of,
            values: limits::AFFINITY_VALUES,
        };
        let baskets = self.store.baskets(query).await?;
        let (customers, values_left_out) = (baskets.counter.customers(), baskets.values_left_out);
        let find = move || baskets.counter.affinities(&baskets.values, limits::AFFINITIES);
        let (affinities, left_out) = run_blocking(find).await?;
        // Names that no purchase has would fill the table with lists of nothing.
        let is_kept = customers > 0 || property == pass.population.spec.affinity.property;
        let list = NewAffinityList {
            pass_id: pass.pass_id,
            property,
            revision: pass.revision,
            known_at,
            customers,
            values_left_out,
            affinities_left_out: left_out as i64,
        };
        if pass.pass_id == NOBODY || !is_kept {
            return Ok(AffinityList { list_id: 0, content: list, affinities: 0 });
        }
        Ok(self.store.insert_affinities(list, affinities).await?)
    }
}
