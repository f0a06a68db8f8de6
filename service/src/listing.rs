//! The list of latest predictions: it holds customers who are eligible by all that is stored now. A run over all
//! customers renews it; a write after which a customer is not eligible any more takes that customer off at once.

use std::{collections::HashMap, sync::Arc};

use tally_model::{history::kind, time::Time};
use tally_proto::limits::FUTURE_MICROS;
use tally_store::{ListedPrediction, Store};

use crate::{
    catalog::{ModelCatalog, ModelName},
    platform::{clock::Clock, error::Result},
};

/// The kinds of interaction after which a customer may not be eligible any more.
pub const ENDING_KINDS: [&str; 2] = [kind::PURCHASE, kind::CANCEL];

/// The latest moment that an interaction which is stored `now` can be about. A purchase that is announced ends a lead
/// on the list at once: nothing is written any more when it happens.
#[must_use]
pub const fn latest_moment(now: Time) -> Time {
    Time(now.0.saturating_add(FUTURE_MICROS))
}

/// Reviews the list after writes. Clones share the store and the models.
#[derive(Clone)]
pub struct Listing {
    store: Arc<dyn Store>,
    catalog: ModelCatalog,
    clock: Arc<Clock>,
}

impl Listing {
    /// The list in `store`, of predictions by the models of `catalog`.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, catalog: ModelCatalog, clock: Arc<Clock>) -> Self {
        Self { store, catalog, clock }
    }

    /// Takes those of these customers off the list who are not eligible any more after a write that is stored. Their
    /// predictions end by one of [`ENDING_KINDS`]. A failure is logged and no failure of the write: the next run over all
    /// customers renews the list.
    pub async fn review(&self, customer_ids: &[String]) {
        if customer_ids.is_empty() {
            return;
        }
        if let Err(error) = self.take_off(customer_ids).await {
            tracing::warn!(%error, "the list of predictions was not reviewed after a write; the next run over all \
                            customers renews it");
        }
    }

    async fn take_off(&self, customer_ids: &[String]) -> Result<()> {
        let listed = self.store.listed_until_ended(customer_ids).await?;
        if listed.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = listed.iter().map(|one| one.customer_id.clone()).collect();
        let histories = self.store.histories(&ids).await?;
        let (now, until) = (self.clock.now(), latest_moment(self.clock.now()));
        let mut gone: HashMap<_, Vec<String>> = HashMap::new();
        for (ListedPrediction { customer_id, target, model_version }, history) in
            listed.into_iter().zip(histories)
        {
            let model = self.catalog.version(ModelName { target, version: model_version }).await?;
            let outcome = &model.scorer.artifact().outcome;
            let ineligible = |history: &_| outcome.eligible(history, until, now).is_err();
            if history.map(|history| history.with(ineligible)).transpose()?.unwrap_or(true) {
                gone.entry(target).or_default().push(customer_id);
            }
        }
        for (target, ids) in gone {
            self.store.forget_latest(target, Time::MAX, ids).await?;
        }
        Ok(())
    }
}
