//! What came of actions.

use sqlx::FromRow;
use tally_model::time::Time;

use crate::{
    error::Result,
    shared::{Backend, Stamp, Statement, Transaction, merges::survivor, transaction::repeatable},
    worklist::{Episode, NewOutcome, OutcomeResult},
};

#[derive(FromRow)]
struct EpisodeRow {
    /// The id that it was published for.
    customer_id: String,
    action: String,
    as_of_time: Stamp,
    until_time: Stamp,
    held_out: bool,
}

pub(super) async fn record<B: Backend>(store: &B, outcome: NewOutcome, now: Time) -> Result<OutcomeResult> {
    repeatable((store.clone(), outcome), move |shared| async move {
        let (store, outcome) = &*shared;
        let mut tx = store.begin().await?;
        let Some(customer_id) = survivor::<B>(&mut tx, &outcome.customer_id).await? else {
            return Ok(OutcomeResult::UnknownCustomer);
        };
        let Some(row) = open_episode::<B>(&mut tx, &customer_id, outcome, now).await? else {
            return Ok(OutcomeResult::NoOpenEpisode);
        };
        let episode = Episode {
            customer_id,
            kind: outcome.kind,
            action: row.action.clone(),
            as_of: row.as_of_time.0,
            until: row.until_time.0,
        };
        if row.held_out {
            return Ok(OutcomeResult::HeldOut);
        }
        if !(episode.as_of..=episode.until).contains(&outcome.occur_time) {
            return Ok(OutcomeResult::OutsideWindow(episode));
        }
        B::run::<()>(&mut tx, update(outcome, &row)).await?;
        tx.commit().await?;
        Ok(OutcomeResult::Recorded(episode))
    })
    .await
}

/// The open episode of a customer, the latest of several that it has since a merge. One of an id that was held out
/// comes after the others.
async fn open_episode<B: Backend>(
    tx: &mut Transaction<B>,
    customer_id: &str,
    outcome: &NewOutcome,
    now: Time,
) -> Result<Option<EpisodeRow>> {
    let select = Statement::new(
        "SELECT customer_id, action, as_of_time, until_time, held_out FROM worklist_episodes \
         WHERE customer_id IN (SELECT customer_id FROM customers WHERE customer_id = $1 OR survivor_id = $2) \
         AND kind = $3 AND as_of_time <= $4 AND until_time >= $5 \
         ORDER BY held_out, as_of_time DESC, customer_id LIMIT 1",
    )
    .bind(customer_id)
    .bind(customer_id)
    .bind(outcome.kind.name())
    .bind(now)
    .bind(now);
    Ok(B::run::<EpisodeRow>(tx, select).await?.pop())
}

fn update(outcome: &NewOutcome, row: &EpisodeRow) -> Statement {
    Statement::new(
        "UPDATE worklist_episodes SET outcome = $1, outcome_action = $2, outcome_note = $3, outcome_time = $4 \
         WHERE customer_id = $5 AND kind = $6 AND as_of_time = $7",
    )
    .bind(outcome.outcome.name())
    .bind(outcome.action.as_deref().unwrap_or(&row.action))
    .bind(outcome.note.as_str())
    .bind(outcome.occur_time)
    .bind(row.customer_id.as_str())
    .bind(outcome.kind.name())
    .bind(row.as_of_time.0)
}
