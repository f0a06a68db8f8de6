//! Which version serves, and the number of the move that made it serve.

use tally_model::spec::Target;
use tally_store::{Promotion, PromotionKind, Store};

use crate::{
    catalog::ModelName,
    platform::{actor::Actor, clock::Clock, error::Result},
};

/// The state of a target's champion, from which the next move starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChampionState {
    /// The version that serves.
    pub(super) champion: Option<i64>,
    /// The number of the last move.
    sequence: i64,
}

impl ChampionState {
    /// Reads the state. When a move happens between the two queries, the next move fails and may be
    /// tried again.
    pub(super) async fn read(store: &dyn Store, target: Target) -> Result<Self> {
        let last = store.promotions(target, None, 1).await?.pop();
        let champion = store.champion(target).await?;
        Ok(Self { champion, sequence: last.map_or(0, |last| last.sequence) })
    }

    /// The next move. The gate's part of it is empty.
    pub(super) fn next(
        self,
        to: ModelName,
        kind: PromotionKind,
        by: &Actor,
        reason: String,
        clock: &Clock,
    ) -> Promotion {
        Promotion {
            target: to.target,
            sequence: self.sequence + 1,
            time: clock.now(),
            who: by.name.clone(),
            from: self.champion,
            to: to.version,
            kind,
            forced: false,
            reason,
            gate_result: String::new(),
        }
    }
}
