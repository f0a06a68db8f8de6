//! What actions did.

use std::collections::BTreeMap;

use tally_model::{
    insight::{Arm, Effect, WorkKind, effect, more_needed},
    time::Time,
};
use tally_store::{EffectFilter, EpisodeCount};

use crate::{insight::Insights, platform::error::Result};

/// So many days without any purchase may be chance. After that, purchases may be missing.
const QUIET_DAYS: i64 = 7;

/// What actions did.
pub struct ActionEffects {
    /// By kind and action; the row of all actions of a kind comes first.
    pub lines: Vec<EffectLine>,
    /// What makes the rates questionable.
    pub warnings: Vec<String>,
}

/// What an action did.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectLine {
    /// The kind.
    pub kind: WorkKind,
    /// The action; empty for all actions of the kind together.
    pub action: String,
    /// Episodes of customers who were not held out, with those who bought.
    pub treated: Arm,
    /// Those of the treated with the outcome `DONE`.
    pub acted: i64,
    /// Episodes of customers who were held out, with those who bought.
    pub held_out: Arm,
    /// The difference; None when one of them is empty.
    pub effect: Option<Effect>,
    /// Episodes whose window is not over.
    pub open: i64,
    /// How many more it takes until an effect of this size shows.
    pub more_needed: Option<i64>,
}

impl Insights {
    /// What actions did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn action_effect(&self, filter: EffectFilter) -> Result<ActionEffects> {
        let lines = lines(&self.store.episode_counts(filter).await?);
        Ok(ActionEffects { lines, warnings: self.unheard(filter).await?.into_iter().collect() })
    }

    /// Says that purchases may be missing in windows that are over: a list would seem to have done nothing.
    pub(super) async fn unheard(&self, filter: EffectFilter) -> Result<Option<String>> {
        let last = self.store.last_purchase_time(filter.now).await?;
        let unheard = self.store.count_ended(filter, last.unwrap_or(Time(0)).plus_days(QUIET_DAYS)).await?;
        let what = match last {
            None => "none is stored".to_owned(),
            Some(last) => format!(
                "the last that is stored is of {last}, and of the episodes that are over, {unheard} ended more than \
                 {QUIET_DAYS} days later"
            ),
        };
        Ok((unheard > 0).then(|| format!("purchases may be missing, which do not count then: {what}")))
    }
}

/// The two groups of a row, and what else it counts.
#[derive(Default)]
struct Groups {
    treated: Arm,
    acted: i64,
    held_out: Arm,
    open: i64,
}

impl Groups {
    fn add(&mut self, count: &EpisodeCount) {
        let arm = if count.held_out { &mut self.held_out } else { &mut self.treated };
        arm.customers += count.judged;
        arm.successes += count.successes;
        self.acted += if count.held_out { 0 } else { count.acted };
        self.open += count.open;
    }
}

fn lines(counts: &[EpisodeCount]) -> Vec<EffectLine> {
    let mut rows: BTreeMap<(WorkKind, &str), Groups> = BTreeMap::new();
    for count in counts {
        for action in ["", count.action.as_str()] {
            rows.entry((count.kind, action)).or_default().add(count);
        }
    }
    let line = |((kind, action), groups): ((WorkKind, &str), Groups)| {
        let Groups { treated, acted, held_out, open } = groups;
        EffectLine {
            kind,
            action: action.to_owned(),
            treated,
            acted,
            held_out,
            effect: effect(treated, held_out),
            open,
            more_needed: more_needed(treated, held_out),
        }
    };
    rows.into_iter().map(line).collect()
}
