//! Promotion and rollback: which version of a model serves, how that changes, and the audit of it.
//!
//! The champion is moved by one compare-and-set, in the transaction that writes its audit row.

use std::sync::Arc;

use tally_model::{spec::Target, time::Time};
use tally_store::{Promotion, PromotionKind, Store};

use super::{
    Gate, GradeChanges, PromotionPreview, champion_state::ChampionState, gate::already_champion,
    refusal::note_refusal,
};
use crate::{
    catalog::{Model, ModelCatalog, ModelName},
    platform::{
        actor::Actor,
        clock::Clock,
        error::{Error, Result},
    },
    scoring::ScoreRequest,
};

/// Audit rows that are read at a time.
const PAGE: usize = 1_000;

/// Moves champions.
#[derive(Clone)]
pub struct Promotions {
    store: Arc<dyn Store>,
    catalog: ModelCatalog,
    clock: Arc<Clock>,
}

/// A wish to make a version the champion.
#[derive(Clone, Debug)]
pub struct PromotionRequest {
    /// The candidate.
    pub model: ModelName,
    /// Whether to promote it although the gate refuses it.
    pub force: bool,
    /// Why, in the actor's words; may be empty.
    pub reason: String,
}

impl Promotions {
    /// Moves the champions in `store`, which serve from `catalog`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, catalog: ModelCatalog, clock: Arc<Clock>) -> Self {
        Self { store, catalog, clock }
    }

    /// Makes a version the champion if it passes the gate or is forced past it. This server serves it
    /// from then on.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; FAILED_PRECONDITION when it is the champion already
    /// (ALREADY_CHAMPION), cannot be read (UNREADABLE_MODEL, also with `force`), fails a check of its
    /// training (FAILED_CHECK), is worse than the champion (WORSE_THAN_CHAMPION), no better or only perhaps
    /// better (NO_BETTER_THAN_CHAMPION), or cannot be compared with it (NOT_COMPARABLE); ABORTED when somebody else moved the champion meanwhile.
    pub async fn promote(&self, by: &Actor, request: PromotionRequest) -> Result<(Promotion, Gate)> {
        let PromotionRequest { model: name, force, reason } = request;
        let candidate = self.readable(name).await?;
        let state = ChampionState::read(&*self.store, name.target).await?;
        if state.champion == Some(name.version) {
            return Err(already_champion(name));
        }
        let gate = Gate::examine(&*self.store, &(&candidate).into(), state.champion).await?;
        let refusal = gate.refusal(name);
        let forced = refusal.is_some();
        if let Some(refusal) = refusal.filter(|_| !force) {
            note_refusal(&*self.store, name, refusal.reason(), self.clock.now()).await;
            return Err(refusal);
        }
        let next = state.next(name, PromotionKind::Promote, by, reason, &self.clock);
        let promotion = Promotion { forced, gate_result: gate.to_string(), ..next };
        Ok((self.carry_out(promotion, by).await?, gate))
    }

    /// Goes back to the champion before the present one. The next rollback goes back to the one before
    /// that: a champion that was rolled back is gone from the line of champions. There is no gate.
    ///
    /// # Errors
    /// FAILED_PRECONDITION when no model serves (NO_CHAMPION), none served before (NO_FORMER_CHAMPION), or
    /// the former one cannot be read (UNREADABLE_MODEL); ABORTED when somebody else moved the champion
    /// meanwhile.
    pub async fn roll_back(&self, by: &Actor, target: Target, reason: String) -> Result<Promotion> {
        let state = ChampionState::read(&*self.store, target).await?;
        let present = state.champion.ok_or_else(|| Error::Precondition {
            reason: "NO_CHAMPION",
            message: format!("no {target} model serves yet: there is nothing to roll back"),
        })?;
        let present = ModelName { target, version: present };
        let former = self.former(target).await?.ok_or_else(|| Error::Precondition {
            reason: "NO_FORMER_CHAMPION",
            message: format!("no champion came before {present}: there is nothing to roll back to"),
        })?;
        let former = ModelName { target, version: former };
        self.readable(former).await?;
        self.carry_out(state.next(former, PromotionKind::Rollback, by, reason, &self.clock), by).await
    }

    /// Shows what a promotion would change, before anything moves: every customer is graded by the
    /// champion and by the candidate, as of `as_of`.
    ///
    /// # Errors
    /// NOT_FOUND when the candidate is not stored; FAILED_PRECONDITION when no model serves (NO_CHAMPION)
    /// or the candidate cannot be read (UNREADABLE_MODEL); when the store fails.
    pub async fn preview(&self, name: ModelName, as_of: Time, now: Time) -> Result<PromotionPreview> {
        let champion = self.catalog.champion(name.target).await?;
        let candidate = self.readable(name).await?;
        let gate = Gate::examine(&*self.store, &(&candidate).into(), Some(champion.name.version)).await?;
        let refusal = gate.refusal(name);
        let request = |model| ScoreRequest::new(model, as_of, now, 0);
        let champion_name = champion.name;
        let changes =
            GradeChanges::count(&self.store, request(champion), request(Arc::new(candidate))).await?;
        Ok(PromotionPreview { champion: champion_name, gate, refusal, changes })
    }

    /// At most `limit` moves of a champion, newest first, before the one with this sequence.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn history(&self, target: Target, before: Option<i64>, limit: usize) -> Result<Vec<Promotion>> {
        Ok(self.store.promotions(target, before, limit).await?)
    }

    /// The champion before the present one. Read backwards, a rollback undoes the latest move before it
    /// that is not undone yet; the first move that is left made the present champion.
    async fn former(&self, target: Target) -> Result<Option<i64>> {
        let (mut undone, mut before) = (0, None);
        loop {
            let moves = self.store.promotions(target, before, PAGE).await?;
            let Some(oldest) = moves.last() else { return Ok(None) };
            before = Some(oldest.sequence);
            for promotion in moves {
                match promotion.kind {
                    PromotionKind::Rollback => undone += 1,
                    PromotionKind::Promote | PromotionKind::Training if undone > 0 => undone -= 1,
                    PromotionKind::Promote | PromotionKind::Training => return Ok(promotion.from),
                }
            }
        }
    }

    /// A stored model that can be read.
    async fn readable(&self, name: ModelName) -> Result<Model> {
        let stored = self.store.model(name.target, name.version).await?;
        let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
        Model::prepare(stored).await
    }

    async fn carry_out(&self, promotion: Promotion, by: &Actor) -> Result<Promotion> {
        if !self.store.promote(promotion.clone(), &by.request_id).await? {
            let message = format!("the {} champion was moved by somebody else meanwhile", promotion.target);
            return Err(Error::Conflict(format!("{message}; look at it and try again")));
        }
        // The champion has moved, whatever happens now; the periodic refresh retries within a second.
        if let Err(error) = self.catalog.refresh().await {
            tracing::warn!(%error, "the new champion is loaded later");
        }
        Ok(promotion)
    }
}
