//! Packing: histories are read much faster packed than row by row. So those of customers of whom something was
//! written are packed anew in the background, now and again.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{app::App, platform::error::Result};
use tally_store::Store;

/// Customers that are looked up at a time.
const LOOKED_UP: usize = 10_000;
/// Customers that are packed at a time.
const GROUP: usize = 100;

/// Packs whoever is not packed, every so often: a server that has just started has other things to do. Trouble is logged, and the next round makes up for it.
pub async fn run(app: Arc<App>, every: Duration) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match round(&*app.store).await {
            Ok(0) => {}
            Ok(packed) => tracing::debug!(packed, "histories are packed"),
            Err(error) => tracing::warn!(%error, "some histories could not be packed"),
        }
    }
}

/// Tells how many were packed; of several troubles, the last.
async fn round(store: &dyn Store) -> Result<usize> {
    let (mut after, mut packed, mut trouble) = (String::new(), 0, None);
    loop {
        let ids = store.unpacked(&after, LOOKED_UP).await?;
        let Some(last) = ids.last() else { break };
        after.clone_from(last);
        for group in ids.chunks(GROUP) {
            match store.pack(group.to_vec()).await {
                Ok(some) => packed += some,
                Err(error) => trouble = Some(error.into()),
            }
        }
    }
    trouble.map_or(Ok(packed), Err)
}
