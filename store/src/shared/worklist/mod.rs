//! The worklist.

mod effect;
mod episodes;
mod items;
mod outcomes;
mod publish;

use std::collections::HashMap;

use async_trait::async_trait;
use tally_model::{
    insight::{WorkKind, WorklistSpec},
    time::Time,
};

use super::Backend;
use crate::{
    audit::Actor,
    error::{Result, StoreError},
    worklist::{
        EffectFilter, Episode, EpisodeCount, EpisodeCursor, EpisodeFilter, ListedEpisode, NewOutcome,
        OutcomeResult, Published, RankedCount, WorkCount, WorkCursor, WorkFilter, WorkItem, WorklistStore,
    },
};

/// Begins `chosen`, episodes with the customer that they are of now; its conditions follow.
const CHOSEN: &str = "WITH chosen AS MATERIALIZED (SELECT coalesce(m.survivor_id, e.customer_id) AS customer, e.* \
     FROM worklist_episodes AS e LEFT JOIN customers AS m \
     ON m.customer_id = e.customer_id AND m.survivor_id IS NOT NULL WHERE e.kind IN (";

/// Begins `purchases` after `chosen`, in the times of its episodes, of the customer that they are of now; more
/// conditions follow.
const PURCHASES: &str = "), purchases AS MATERIALIZED \
     (SELECT coalesce(m.survivor_id, i.customer_id) AS customer, i.occur_time \
     FROM interactions AS i LEFT JOIN customers AS m \
     ON m.customer_id = i.customer_id AND m.survivor_id IS NOT NULL \
     WHERE i.kind = 'purchase' AND i.occur_time > (SELECT min(as_of_time) FROM chosen) AND i.occur_time < ";

/// After `purchases`, those of the chosen episodes whose customer bought in the window.
const BOUGHT: &str = "), bought AS MATERIALIZED (SELECT DISTINCT e.customer_id, e.kind, e.as_of_time \
     FROM chosen AS e JOIN purchases AS p ON p.customer = e.customer \
     AND p.occur_time > e.as_of_time AND p.occur_time <= e.until_time) ";

/// The kind of a stored name.
fn kind(name: &str) -> Result<WorkKind> {
    WorkKind::named(name).ok_or_else(|| StoreError::Internal(format!("a stored kind of work reads `{name}`")))
}

#[async_trait]
impl<B: Backend> WorklistStore for B {
    async fn work_items(
        &self,
        filter: &WorkFilter,
        include_held_out: bool,
        after: Option<&WorkCursor>,
        limit: usize,
    ) -> Result<Vec<WorkItem>> {
        match filter.ranking {
            None => items::by_value(self, filter, include_held_out, after, limit).await,
            Some(_) => items::by_gain(self, filter, include_held_out, after, limit).await,
        }
    }

    async fn work_counts(&self, pass_id: i64) -> Result<Vec<WorkCount>> {
        items::counts(self, pass_id).await
    }

    async fn ranked_count(&self, filter: &WorkFilter, include_held_out: bool) -> Result<RankedCount> {
        items::ranked_count(self, filter, include_held_out).await
    }

    async fn publish_worklist(&self, filter: &WorkFilter, now: Time, by: &Actor) -> Result<Published> {
        publish::publish(self, filter, now, by).await
    }

    async fn record_outcome(
        &self,
        outcome: NewOutcome,
        settings: &WorklistSpec,
        now: Time,
    ) -> Result<OutcomeResult> {
        outcomes::record(self, outcome, settings, now).await
    }

    async fn open_episodes(
        &self,
        customer_ids: &[String],
        now: Time,
    ) -> Result<HashMap<(String, WorkKind), Episode>> {
        episodes::open_of(self, customer_ids, now).await
    }

    async fn episodes(
        &self,
        filter: &EpisodeFilter,
        after: Option<&EpisodeCursor>,
        limit: usize,
    ) -> Result<Vec<ListedEpisode>> {
        episodes::list(self, filter, after, limit).await
    }

    async fn count_episodes(&self, filter: &EpisodeFilter) -> Result<u64> {
        episodes::count(self, filter).await
    }

    async fn episode_counts(&self, filter: EffectFilter) -> Result<Vec<EpisodeCount>> {
        effect::counts(self, filter).await
    }

    async fn count_ended(&self, filter: EffectFilter, after: Time) -> Result<u64> {
        effect::count_ended(self, filter, after).await
    }
}
