//! What came of actions.

use tally_model::{
    insight::{WorklistSpec, is_held_out},
    time::Time,
};

use super::episodes::read_open;
use crate::{
    error::{Result, StoreError},
    shared::{Backend, Statement, merges::survivor, transaction::repeatable},
    worklist::{Episode, NewOutcome, OutcomeResult},
};

pub(super) async fn record<B: Backend>(
    store: &B,
    outcome: NewOutcome,
    settings: &WorklistSpec,
    now: Time,
) -> Result<OutcomeResult> {
    repeatable(store, (store.clone(), outcome, settings.clone()), move |shared| async move {
        let (store, outcome, settings) = &*shared;
        let mut tx = store.begin().await?;
        let Some(customer_id) = survivor::<B>(&mut tx, &outcome.customer_id).await? else {
            return Ok(OutcomeResult::UnknownCustomer);
        };
        let mut of_kind = async |at: Time| {
            let mut open = read_open::<B>(&mut tx, std::slice::from_ref(&customer_id), at).await?;
            open.retain(|episode| episode.kind == outcome.kind);
            Ok::<_, StoreError>(open)
        };
        let mut open = of_kind(outcome.occur_time).await?;
        if open.is_empty() {
            open = of_kind(now).await?;
        }
        // The customer may have come off or onto the holdout by a merge; then what it is itself counts.
        let own = open.iter().find(|episode| episode.published_id == customer_id);
        let held_out = own.map_or_else(
            || is_held_out(settings.holdout_share, &settings.holdout_salt, &customer_id),
            |own| own.held_out,
        );
        let Some(episode) = open.into_iter().next() else {
            return Ok(OutcomeResult::NoOpenEpisode);
        };
        if held_out {
            return Ok(OutcomeResult::HeldOut);
        }
        if !(episode.as_of..=episode.until).contains(&outcome.occur_time) {
            return Ok(OutcomeResult::OutsideWindow(episode));
        }
        B::run::<()>(&mut tx, update(outcome, &episode)).await?;
        tx.commit().await?;
        Ok(OutcomeResult::Recorded(episode))
    })
    .await
}

fn update(outcome: &NewOutcome, episode: &Episode) -> Statement {
    Statement::new(
        "UPDATE worklist_episodes SET outcome = $1, outcome_action = $2, outcome_note = $3, outcome_time = $4 \
         WHERE customer_id = $5 AND kind = $6 AND as_of_time = $7",
    )
    .bind(outcome.outcome.name())
    .bind(outcome.action.as_deref().unwrap_or(&episode.action))
    .bind(outcome.note.as_str())
    .bind(outcome.occur_time)
    .bind(episode.published_id.as_str())
    .bind(outcome.kind.name())
    .bind(episode.as_of)
}
