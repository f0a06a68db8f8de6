//! Passes that are asked for: found where they are stored, and made where they are not.

use std::{sync::Arc, time::Duration};

use tally_model::{insight::Population, time::Time};
use tally_store::{Pass, PassExpiry, Store, StoreError};
use tokio::{
    sync::OwnedMutexGuard,
    time::{MissedTickBehavior, interval},
};
use tracing::Instrument;

use super::{InsightPass, Insights, PassPurpose};
use crate::platform::{
    clock::Clock,
    error::{Error, Result},
};

/// How often expired passes are removed.
const EVERY: Duration = Duration::from_secs(3_600);
/// How long a pass that was made on demand is kept.
const ON_DEMAND_DAYS: i64 = 1;
/// The number of a pass without any facts, which is not stored.
pub(super) const NOBODY: i64 = 0;

impl Insights {
    /// The pass about `as_of`, which is made if there is none; without a moment the latest one, or one about now if
    /// there is none. Callers that want the same one share it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pass(&self, as_of: Option<Time>) -> Result<Pass> {
        if let Some(pass) = self.stored_pass(as_of).await? {
            return Ok(pass);
        }
        // Who goes away while it waits for other passes wants none any more.
        let making = Arc::clone(&self.making).lock_owned().await;
        // In a task of its own, so that others who wait for the pass get it also when this caller goes away.
        let insights = self.clone();
        let made = tokio::spawn(async move { insights.make(as_of, making).await }.in_current_span());
        made.await.map_err(|error| Error::Internal(format!("a pass panicked: {error}")))?
    }

    /// The pass that a page of a list follows.
    ///
    /// # Errors
    /// ABORTED when it is gone: another one has taken its place; when the store fails.
    pub async fn pass_of_page(&self, pass_id: i64) -> Result<Pass> {
        self.store.pass(pass_id).await?.ok_or_else(Error::pass_is_gone)
    }

    /// Whether there is a latest pass, and it was made with other settings than those of this server.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn latest_pass_has_other_settings(&self) -> Result<bool> {
        Ok(self.stored_pass(None).await?.is_some_and(|pass| pass.population.spec != *self.spec))
    }

    /// The pass that is stored. One about a moment that is asked for has the present definitions; the latest one keeps
    /// its own until the next.
    async fn stored_pass(&self, as_of: Option<Time>) -> Result<Option<Pass>> {
        Ok(match as_of {
            Some(as_of) => {
                let stored = self.store.pass_about(as_of).await?;
                stored.filter(|pass| pass.population.spec == *self.spec)
            }
            None => self.store.latest_pass(self.clock.now()).await?,
        })
    }

    async fn make(&self, as_of: Option<Time>, making: OwnedMutexGuard<()>) -> Result<Pass> {
        if let Some(made) = self.stored_pass(as_of).await? {
            return Ok(made);
        }
        let now = self.clock.now();
        let as_of = as_of.unwrap_or(now);
        // Without customers the answer is known, and stored it would outlive their arrival.
        if self.store.count_customers().await? == 0 {
            let population = Population::nobody(as_of, &self.spec);
            return Ok(Pass { pass_id: NOBODY, as_of, known_at: now, kept: false, revision: 0, population });
        }
        let mut pass = InsightPass::start_with(self, as_of, PassPurpose::OnDemand, making).await?;
        while pass.next().await?.is_some() {}
        self.store.pass_about(as_of).await?.ok_or_else(|| Error::Internal("a pass is gone".to_owned()))
    }
}

/// Removes passes that have expired or were replaced, once an hour, until it is cancelled: those made on demand after a
/// day, the others after `keep_days` days, but for the last of each month. Errors are logged and retried in the next
/// round.
pub async fn remove_expired(store: Arc<dyn Store>, clock: Arc<Clock>, keep_days: u32) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match remove(&*store, &clock, keep_days).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, keep_days, "old insights are removed"),
            Err(error) => tracing::warn!(%error, "old insights could not be removed"),
        }
    }
}

#[tracing::instrument(name = "insight retention", skip_all)]
async fn remove(store: &dyn Store, clock: &Clock, keep_days: u32) -> Result<u64, StoreError> {
    let now = clock.now();
    let expiry =
        PassExpiry { kept: now.plus_days(-i64::from(keep_days)), on_demand: now.plus_days(-ON_DEMAND_DAYS) };
    store.remove_passes(expiry).await
}
