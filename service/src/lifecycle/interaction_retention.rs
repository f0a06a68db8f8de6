//! How long interactions are kept: `--keep-interactions`.

use std::{str::FromStr, sync::Arc, time::Duration};

use tally_model::time::Time;
use tally_proto::limits::WORD_CHARS;
use tally_store::{InteractionExpiry, NewAuditEvent, Store};
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    histories::Histories,
    platform::{actor, clock::Clock, error::Result},
};

/// How often old interactions are removed.
const EVERY: Duration = Duration::from_secs(3_600);
/// Customers whose interactions are looked through at a time.
const CUSTOMERS: usize = 500;
/// The longest time, in days.
const LONGEST: u32 = 36_500;
/// Stands for the kinds that are not named.
const OTHERS: &str = "*";
/// The action in the audit log.
const REMOVE: &str = "RemoveOldInteractions";

/// How many days interactions are kept, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepInteractions {
    kinds: Vec<(String, u32)>,
    others: Option<u32>,
}

/// `visit=365,email=90`, with `*` for all kinds that are not named.
impl FromStr for KeepInteractions {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut keep = Self { kinds: Vec::new(), others: None };
        for entry in text.split(',') {
            let (kind, days) = entry
                .trim()
                .rsplit_once('=')
                .ok_or_else(|| format!("`{entry}` is not KIND=DAYS, such as visit=365"))?;
            let known =
                kind.chars().count() <= WORD_CHARS && !kind.is_empty() && !kind.contains(char::is_control);
            if !known {
                return Err(format!(
                    "`{entry}` has no kind; allowed are 1 to {WORD_CHARS} characters, or * for all others"
                ));
            }
            let days = days.parse().ok().filter(|days| (1..=LONGEST).contains(days));
            let days = days.ok_or_else(|| format!("`{entry}`: allowed are 1 to {LONGEST} days"))?;
            let repeated = match kind {
                OTHERS => keep.others.replace(days).is_some(),
                kind => keep.kinds.iter().any(|(own, _)| own == kind),
            };
            if repeated {
                return Err(format!("`{kind}` occurs twice"));
            }
            if kind != OTHERS {
                keep.kinds.push((kind.to_owned(), days));
            }
        }
        Ok(keep)
    }
}

impl KeepInteractions {
    /// What is too old now.
    #[must_use]
    pub fn expiry(&self, now: Time) -> InteractionExpiry {
        let before = |days: u32| now.plus_days(-i64::from(days));
        InteractionExpiry {
            kinds: self.kinds.iter().map(|(kind, days)| (kind.clone(), before(*days))).collect(),
            others: self.others.map(before),
        }
    }
}

/// Removes interactions that are too old, once an hour, until it is cancelled. Errors are logged and retried in the next
/// round.
pub async fn run(store: Arc<dyn Store>, histories: Histories, clock: Arc<Clock>, keep: KeepInteractions) {
    if let Err(error) = name_unknown(&*store.patient(), &keep).await {
        tracing::warn!(%error, "the kinds of --keep-interactions could not be looked up");
    }
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match remove_old(&*store, &histories, &clock, &keep).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "old interactions are removed"),
            Err(error) => tracing::warn!(%error, "old interactions could not be removed"),
        }
    }
}

/// Names the kinds of which no interaction is stored. Any text may be a kind, so that they may be misspelt.
async fn name_unknown(store: &dyn Store, keep: &KeepInteractions) -> Result<()> {
    for (kind, _) in &keep.kinds {
        if store.last_of_kind(kind).await?.is_none() {
            tracing::warn!(
                "--keep-interactions has no effect on the kind {kind:?} yet: no interaction of it is stored; is it \
                 spelt as in the data?"
            );
        }
    }
    Ok(())
}

#[tracing::instrument(name = "interaction retention", skip_all)]
async fn remove_old(
    store: &dyn Store,
    histories: &Histories,
    clock: &Clock,
    keep: &KeepInteractions,
) -> Result<u64> {
    let expiry = keep.expiry(clock.now());
    let (mut removed, mut after) = (0, String::new());
    loop {
        let ids = store.stored_ids(&after, CUSTOMERS).await?;
        let Some(last) = ids.last() else { break };
        after.clone_from(last);
        let found = store.remove_interactions(&ids, &expiry).await?;
        histories.forget(&found.customer_ids);
        removed += found.removed;
    }
    if removed > 0 {
        let event = NewAuditEvent::done(clock.now(), &actor::of_this_process(), REMOVE);
        store.append_audit(vec![NewAuditEvent { count: removed as i64, ..event }]).await?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_given_by_kind() {
        let keep: KeepInteractions = "visit=365, email=90,*=3650".parse().unwrap();
        let expected = InteractionExpiry {
            kinds: vec![
                ("visit".to_owned(), "2023-01-02".parse().unwrap()),
                ("email".to_owned(), "2023-10-04".parse().unwrap()),
            ],
            others: Some("2014-01-04".parse().unwrap()),
        };
        assert_eq!(keep.expiry("2024-01-02".parse().unwrap()), expected);
        for wrong in
            ["", "visit", "visit=", "visit=0", "visit=36501", "=3", "visit=1,visit=2", "*=1,*=2", "visit=1,"]
        {
            assert!(wrong.parse::<KeepInteractions>().is_err(), "{wrong}");
        }
    }
}
