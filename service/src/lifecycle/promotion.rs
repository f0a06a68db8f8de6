//! The registry: which version of a model serves, how that may change, and the audit of it.
//!
//! A champion is moved by one compare-and-set, written together with its audit row. Before that the
//! gate compares candidate and champion on holdout rows that neither has learned from: those of both
//! holdouts, and those of the candidate's that its training had the champion score.

use std::fmt;

use tally_model::{
    spec::{ChurnEvent, Target},
    time::Time,
    training::compare::Comparison,
    training::snapshot::LabelDefinition,
};

use crate::{
    app::App,
    catalog::models::{Model, ModelName},
    platform::error::{Error, Result},
    scoring::score::run_blocking,
};
use tally_store::{Promotion, PromotionKind, Store};

/// Audit rows that are read at a time.
const PAGE: usize = 1_000;

/// Who moves a champion, and why.
#[derive(Clone, Debug)]
pub struct Actor {
    /// As far as is known; nobody is authenticated.
    pub who: String,
    /// In their own words, may be empty.
    pub reason: String,
    /// When.
    pub time: Time,
}

/// What the gate finds of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Nothing serves yet that the candidate could be worse than.
    NoChampion,
    /// Both were judged on the same rows.
    Compared(ModelName, Comparison),
    /// There is no fair comparison with the champion, and why.
    NotComparable(ModelName, String),
}

impl Gate {
    /// Whether the candidate has the lower log loss, or no rival: what a training promotes by itself.
    #[must_use]
    pub fn is_better(&self) -> bool {
        match self {
            Self::NoChampion => true,
            Self::Compared(_, comparison) => comparison.difference < 0.0,
            Self::NotComparable(..) => false,
        }
    }

    /// Why the candidate is not promoted without force; None when it may be.
    #[must_use]
    pub fn refusal(&self, candidate: ModelName) -> Option<Error> {
        let (reason, what) = match self {
            Self::NoChampion => return None,
            Self::Compared(_, comparison) if comparison.difference <= 0.0 => return None,
            Self::Compared(_, comparison) => {
                let Comparison { candidate_log_loss: have, champion_log_loss: need, .. } = comparison;
                ("WORSE_THAN_CHAMPION", format!("; have log loss {have:.4}, need {need:.4}"))
            }
            Self::NotComparable(..) => ("NOT_COMPARABLE", String::new()),
        };
        let message = format!("{candidate} is {self}{what}; `force` promotes it all the same");
        Some(Error::Precondition { reason, message })
    }

    /// The comparison, if there is one.
    #[must_use]
    pub const fn comparison(&self) -> Option<(ModelName, Comparison)> {
        match self {
            Self::Compared(champion, comparison) => Some((*champion, *comparison)),
            Self::NoChampion | Self::NotComparable(..) => None,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChampion => write!(f, "there was no champion"),
            Self::NotComparable(champion, why) => write!(f, "not comparable with {champion}: {why}"),
            Self::Compared(champion, c) => {
                let words = match c.difference {
                    ..0.0 => "better than",
                    0.0 => "as good as",
                    _ => "worse than",
                };
                let may = c.difference != 0.0 && c.lower <= 0.0 && 0.0 <= c.upper;
                let chance = if may { ", which may be chance" } else { "" };
                write!(
                    f,
                    "{words} {champion} on the same {} rows: log loss {:.4} against {:.4}, \
                     a difference of {:+.4} (95 % {:+.4} to {:+.4}){chance}",
                    c.rows, c.candidate_log_loss, c.champion_log_loss, c.difference, c.lower, c.upper
                )
            }
        }
    }
}

/// Compares a stored candidate with the present champion.
///
/// # Errors
/// When the store fails.
pub async fn gate(
    store: &dyn Store,
    candidate: ModelName,
    outcome: LabelDefinition,
    champion: Option<i64>,
) -> Result<Gate> {
    let Some(version) = champion else { return Ok(Gate::NoChampion) };
    let name = ModelName { target: candidate.target, version };
    let not_comparable = |why: String| Ok(Gate::NotComparable(name, why));
    let stored = store.model(name.target, version).await?;
    let stored = stored.ok_or_else(|| Error::Internal(format!("the champion {name} is not stored")))?;
    let rival = match Model::load_on_blocking_pool(stored).await {
        Ok(rival) => rival.scorer.artifact().outcome,
        Err(error) => return not_comparable(error.to_string()),
    };
    if predicts(rival) != predicts(outcome) {
        return not_comparable(format!("it foretells {}, not {}", predicts(rival), predicts(outcome)));
    }
    let pairs = store.pairs(candidate.target, candidate.version, version).await?;
    match run_blocking(move || Comparison::new(&pairs)).await? {
        Ok(comparison) => Ok(Gate::Compared(name, comparison)),
        Err(too_few) => not_comparable(too_few.to_string()),
    }
}

/// What a model foretells, in words. Models can be compared when they foretell the same.
#[must_use]
pub fn predicts(outcome: LabelDefinition) -> String {
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => format!("a purchase within {} days", outcome.horizon_days),
        (Target::Churn, ChurnEvent::Inactivity) => format!("inactivity for {} days", outcome.horizon_days),
        (Target::Churn, ChurnEvent::Cancel) => format!("a cancel within {} days", outcome.horizon_days),
    }
}

/// Where a target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChampionState {
    /// The version that serves.
    pub champion: Option<i64>,
    /// The number of the last move.
    sequence: i64,
}

impl ChampionState {
    /// Reads it. A move between the two queries makes the next one fail, and be tried again.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(store: &dyn Store, target: Target) -> Result<Self> {
        let last = store.promotions(target, None, 1).await?.pop();
        let champion = store.champion(target).await?;
        Ok(Self { champion, sequence: last.map_or(0, |last| last.sequence) })
    }

    /// The move that comes next.
    #[must_use]
    pub fn next(self, to: ModelName, kind: PromotionKind, actor: Actor) -> Promotion {
        Promotion {
            target: to.target,
            sequence: self.sequence + 1,
            time: actor.time,
            who: actor.who,
            from: self.champion,
            to: to.version,
            kind,
            forced: false,
            reason: actor.reason,
            gate_result: String::new(),
        }
    }
}

/// Makes `name` the champion, if it passes the gate or is forced past it. This server serves it from
/// then on.
///
/// # Errors
/// NOT_FOUND when it is not stored; FAILED_PRECONDITION when it is the champion already
/// (ALREADY_CHAMPION), cannot be read (UNREADABLE_MODEL, also with `force`), is worse than the champion
/// (WORSE_THAN_CHAMPION) or cannot be compared with it (NOT_COMPARABLE); ABORTED when somebody else
/// moved the champion meanwhile.
pub async fn promote(app: &App, name: ModelName, force: bool, actor: Actor) -> Result<(Promotion, Gate)> {
    let outcome = readable(&*app.store, name).await?.scorer.artifact().outcome;
    let state = ChampionState::of(&*app.store, name.target).await?;
    if state.champion == Some(name.version) {
        let message = format!("{name} is the champion already");
        return Err(Error::Precondition { reason: "ALREADY_CHAMPION", message });
    }
    let gate = gate(&*app.store, name, outcome, state.champion).await?;
    let refusal = gate.refusal(name);
    let forced = refusal.is_some();
    if let Some(refusal) = refusal.filter(|_| !force) {
        return Err(refusal);
    }
    let promotion = Promotion {
        forced,
        gate_result: gate.to_string(),
        ..state.next(name, PromotionKind::Promote, actor)
    };
    Ok((carry_out(app, promotion).await?, gate))
}

/// Goes back to the champion before the present one. Again, it goes back to the one before that: what
/// was rolled back is gone from the line of champions. No gate asks whether that is better.
///
/// # Errors
/// FAILED_PRECONDITION when nothing serves (NO_CHAMPION), nothing did before (NO_FORMER_CHAMPION), or
/// what did cannot be read (UNREADABLE_MODEL); ABORTED when somebody else moved the champion meanwhile.
pub async fn roll_back(app: &App, target: Target, actor: Actor) -> Result<Promotion> {
    let state = ChampionState::of(&*app.store, target).await?;
    let present = state.champion.ok_or_else(|| Error::Precondition {
        reason: "NO_CHAMPION",
        message: format!("no {target} model serves yet: there is nothing to roll back"),
    })?;
    let present = ModelName { target, version: present };
    let former = former(&*app.store, target).await?.ok_or_else(|| Error::Precondition {
        reason: "NO_FORMER_CHAMPION",
        message: format!("no champion came before {present}: there is nothing to roll back to"),
    })?;
    let former = ModelName { target, version: former };
    readable(&*app.store, former).await?;
    carry_out(app, state.next(former, PromotionKind::Rollback, actor)).await
}

/// The champion before the present one. Read backwards, a rollback undoes the latest move before it
/// that is not undone yet; the first move that is left made the present champion.
async fn former(store: &dyn Store, target: Target) -> Result<Option<i64>> {
    let (mut undone, mut before) = (0, None);
    loop {
        let moves = store.promotions(target, before, PAGE).await?;
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
///
/// # Errors
/// NOT_FOUND when it is not stored, FAILED_PRECONDITION (UNREADABLE_MODEL) when it is damaged.
pub async fn readable(store: &dyn Store, name: ModelName) -> Result<Model> {
    let stored = store.model(name.target, name.version).await?;
    let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
    Model::load_on_blocking_pool(stored).await.map_err(|error| Error::Precondition {
        reason: "UNREADABLE_MODEL",
        message: format!("{name} cannot serve: {error}"),
    })
}

async fn carry_out(app: &App, promotion: Promotion) -> Result<Promotion> {
    if !app.store.promote(promotion.clone()).await? {
        let message = format!("the {} champion was moved by somebody else meanwhile", promotion.target);
        return Err(Error::Conflict(format!("{message}; look at it and try again")));
    }
    // It has moved, whatever comes now; a server that cannot read it at once does so within a second.
    if let Err(error) = app.models.refresh().await {
        tracing::warn!(%error, "the new champion is taken over later");
    }
    Ok(promotion)
}
