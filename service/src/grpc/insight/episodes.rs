//! Episodes: what was handed out.

use serde::{Deserialize, Serialize};
use tally_model::time::Time;
use tally_proto::v1::{self, ListEpisodesRequest, ListEpisodesResponse};
use tally_store::{Episode, EpisodeCursor, EpisodeFilter, ListedEpisode};
use tonic::Status;

use super::{
    InsightRpc,
    worklist::{kinds, outcome_of, work_kind},
};
use crate::grpc::{
    convert::{page, response::timestamp, validator::Validator},
    status::about,
};

/// Where a page ends.
#[derive(Serialize, Deserialize)]
struct Place {
    /// When the first page was asked for, which decides what is open on all of them.
    now: Time,
    /// The last episode.
    episode: EpisodeCursor,
}

/// ListEpisodes.
pub(super) async fn list(
    rpc: &InsightRpc,
    request: ListEpisodesRequest,
) -> Result<ListEpisodesResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let size = validator.page_size(request.page_size);
    let kinds = kinds(&mut validator, &request.kinds);
    let is_given = !request.customer_id.is_empty();
    let customer_id = is_given.then(|| validator.id("customer_id", request.customer_id));
    let (size, kinds, customer_id) = validator.finish((size, kinds, customer_id))?;
    let (open_only, without_outcome) = (request.open_only, request.without_outcome);
    let scope = ("ListEpisodes", kinds.0, &customer_id, open_only, without_outcome);
    let after: Option<Place> = rpc.page_tokens.open(&scope, &request.page_token)?;
    let now = after.as_ref().map_or(now, |after| after.now);
    let filter = EpisodeFilter { kinds, customer_id: customer_id.clone(), open_only, without_outcome, now };
    let found = rpc.insights.episodes(filter, after.as_ref().map(|after| &after.episode), size + 1).await;
    let named = customer_id.clone().unwrap_or_default();
    let (found, total) = found.map_err(about(&[("customer_id", &named)]))?;
    let place = |listed: &ListedEpisode| Place { now, episode: cursor(&listed.episode) };
    let (episodes, last) = page::cut(found, size, place, episode);
    Ok(ListEpisodesResponse {
        episodes,
        next_page_token: rpc.page_tokens.next(&scope, last)?,
        total_size: total as i64,
    })
}

fn cursor(episode: &Episode) -> EpisodeCursor {
    EpisodeCursor {
        as_of: episode.as_of,
        customer_id: episode.customer_id.clone(),
        kind: episode.kind.bit(),
        published_id: episode.published_id.clone(),
    }
}

fn episode(ListedEpisode { episode, name, bought }: ListedEpisode) -> v1::Episode {
    let report = episode.report.as_ref();
    v1::Episode {
        outcome: outcome_of(report).into(),
        outcome_action: report.map(|report| report.action.clone()),
        outcome_note: report.map(|report| report.note.clone()).unwrap_or_default(),
        outcome_time: report.map(|report| timestamp(report.occur_time)),
        customer_id: episode.customer_id,
        name,
        kind: work_kind(episode.kind).into(),
        action: episode.action,
        as_of_time: Some(timestamp(episode.as_of)),
        until_time: Some(timestamp(episode.until)),
        publish_time: Some(timestamp(episode.publish_time)),
        held_out: episode.held_out,
        bought: Some(bought),
    }
}
