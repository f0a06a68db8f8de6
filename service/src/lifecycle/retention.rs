//! How long predictions are kept: `--keep-predictions-days`.

use std::{sync::Arc, time::Duration};

use tally_store::{Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};

use crate::platform::clock::Clock;

/// How often expired predictions are removed.
const EVERY: Duration = Duration::from_secs(3_600);

/// Removes predictions that are older than `keep_days` days, once an hour, until it is cancelled. The
/// latest prediction of each customer and target stays, however old it is. Errors are logged and retried
/// in the next round.
pub async fn run(store: Arc<dyn Store>, clock: Arc<Clock>, keep_days: u32) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match remove_expired(&*store, &clock, keep_days).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, keep_days, "old predictions are removed"),
            Err(error) => tracing::warn!(%error, "old predictions could not be removed"),
        }
    }
}

#[tracing::instrument(name = "retention", skip_all)]
async fn remove_expired(store: &dyn Store, clock: &Clock, keep_days: u32) -> Result<u64, StoreError> {
    store.remove_predictions(clock.now().plus_days(-i64::from(keep_days))).await
}
