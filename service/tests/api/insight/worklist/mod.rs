//! The worklist: who is on it, who is held out, what is handed out, and what it did.

mod capacity;
mod effect;
mod episodes;
mod handed_out;
mod kinds;
mod lists;
mod publication;
mod refusals;

use sha2::{Digest, Sha256};
use tally_model::time::Time;
use tally_proto::v1::{self, Outcome, WorkKind};
use tonic::Status;

use super::paid;
use crate::support::{Tally, timestamp};

/// Whether a customer is held out, by the definition: a share of 0.1, and the salt 1.
fn is_held_out(id: &str) -> bool {
    let digest = Sha256::digest(format!("1\n{id}"));
    let place = u64::from_be_bytes(digest[..8].try_into().unwrap());
    (place as f64) < 0.1 * 18_446_744_073_709_551_616.0
}

/// The first ids `c0`, `c1`, … that are held out, or are not.
fn ids(count: usize, held_out: bool) -> Vec<String> {
    let all = (0..).map(|n| format!("c{n}"));
    all.filter(|id| is_held_out(id) == held_out).take(count).collect()
}

/// So many days ago. All calls of a test with the same `now` return the same moment.
fn days_ago(now: Time, days: i64) -> Time {
    now.plus_days(-days)
}

impl Tally {
    /// Stores customers who bought once, so long before `as_of` that they are lost.
    async fn lost(&self, ids: &[String], as_of: Time) {
        let first = as_of.plus_days(-500).to_string();
        self.backfill(ids.iter().map(|id| paid(id, &first, "purchase", &first, 1_000_000)).collect())
            .await
            .unwrap();
    }

    /// The first page of the worklist.
    async fn worklist(&self, request: v1::ListWorklistRequest) -> Result<v1::ListWorklistResponse, Status> {
        Ok(self.insights().list_worklist(request).await?.into_inner())
    }

    /// All items at a moment, held-out customers included.
    async fn all_work(&self, as_of: Time) -> Vec<v1::WorkItem> {
        let request = v1::ListWorklistRequest {
            as_of_time: Some(timestamp(as_of)),
            include_held_out: true,
            page_size: 1_000,
            ..Default::default()
        };
        self.work_of_all_pages(request).await
    }

    /// The items of all pages.
    async fn work_of_all_pages(&self, mut request: v1::ListWorklistRequest) -> Vec<v1::WorkItem> {
        let mut items = Vec::new();
        loop {
            let page = self.worklist(request.clone()).await.unwrap();
            items.extend(page.items);
            if page.next_page_token.is_empty() {
                assert_eq!(items.len() as i64, page.total_size);
                return items;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Publishes all kinds: `[published, held_out, still_open]`.
    async fn publish(&self, as_of: Time) -> Result<[i64; 3], Status> {
        let request = v1::PublishWorklistRequest { as_of_time: Some(timestamp(as_of)), ..Default::default() };
        let reply = self.insights().publish_worklist(request).await?.into_inner();
        Ok([reply.published, reply.held_out, reply.still_open])
    }

    /// Publishes the list of some kinds and returns how many episodes are new.
    async fn publish_kinds(&self, as_of: Time, kinds: &[WorkKind]) -> i64 {
        let request = v1::PublishWorklistRequest {
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            as_of_time: Some(timestamp(as_of)),
            ..Default::default()
        };
        self.insights().publish_worklist(request).await.unwrap().into_inner().published
    }

    /// The episodes of all pages.
    async fn episodes(&self, mut request: v1::ListEpisodesRequest) -> Vec<v1::Episode> {
        let mut episodes = Vec::new();
        loop {
            let page = self.insights().list_episodes(request.clone()).await.unwrap().into_inner();
            episodes.extend(page.episodes);
            if page.next_page_token.is_empty() {
                assert_eq!(episodes.len() as i64, page.total_size);
                return episodes;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Reports what came of an action.
    async fn report(
        &self,
        id: &str,
        kind: WorkKind,
        outcome: Outcome,
    ) -> Result<v1::RecordActionOutcomeResponse, Status> {
        let request = v1::RecordActionOutcomeRequest {
            customer_id: id.to_owned(),
            kind: kind.into(),
            outcome: outcome.into(),
            ..Default::default()
        };
        Ok(self.insights().record_action_outcome(request).await?.into_inner())
    }

    /// What actions of a kind did.
    async fn effect(&self, kind: WorkKind) -> Vec<v1::ActionEffect> {
        let request = v1::GetActionEffectRequest { kinds: vec![kind.into()], ..Default::default() };
        self.insights().get_action_effect(request).await.unwrap().into_inner().rows
    }
}
