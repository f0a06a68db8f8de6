//! Packing: a packed history is read much faster than its rows, so the histories of customers that were
//! written to are packed again in the background.

use std::{sync::Arc, time::Duration};

use tally_store::{Store, StoreError};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Customers that are looked up at a time.
const LOOKED_UP: usize = 10_000;
/// Customers that are packed in one transaction: few, since their histories are in memory together and writers wait.
const GROUP: usize = 25;

/// Packs the histories that are not packed, every `every`, until it is cancelled. The first round waits,
/// since a server that has just started is busy. Errors are logged and retried in the next round.
pub async fn run(store: Arc<dyn Store>, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match pack_all(&*store).await {
            Ok(0) => {}
            Ok(packed) => tracing::debug!(packed, "histories are packed"),
            Err(error) => tracing::warn!(%error, "some histories could not be packed"),
        }
    }
}

/// Returns how many histories were packed; of several errors, the last.
#[tracing::instrument(name = "packing", skip_all)]
async fn pack_all(store: &dyn Store) -> Result<usize, StoreError> {
    let (mut after, mut packed, mut failure) = (String::new(), 0, None);
    loop {
        let ids = store.unpacked(&after, LOOKED_UP).await?;
        let Some(last) = ids.last() else { break };
        after.clone_from(last);
        for group in ids.chunks(GROUP) {
            match store.pack(group.to_vec()).await {
                Ok(count) => packed += count,
                Err(error) => failure = Some(error),
            }
        }
    }
    failure.map_or(Ok(packed), Err)
}
