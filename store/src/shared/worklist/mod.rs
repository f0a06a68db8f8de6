//! The worklist.

mod effect;
mod items;
mod outcomes;
mod publish;

use async_trait::async_trait;
use tally_model::{insight::WorkKind, time::Time};

use super::Backend;
use crate::{
    error::{Result, StoreError},
    worklist::{
        EffectFilter, EpisodeCount, NewOutcome, OutcomeResult, Published, RankedCount, WorkCount, WorkCursor,
        WorkFilter, WorkItem, WorklistStore,
    },
};

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

    async fn publish_worklist(&self, filter: &WorkFilter, now: Time) -> Result<Published> {
        publish::publish(self, filter, now).await
    }

    async fn record_outcome(&self, outcome: NewOutcome, now: Time) -> Result<OutcomeResult> {
        outcomes::record(self, outcome, now).await
    }

    async fn episode_counts(&self, filter: EffectFilter) -> Result<Vec<EpisodeCount>> {
        effect::counts(self, filter).await
    }
}
