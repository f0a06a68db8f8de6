//! How long predictions are kept: `--keep-predictions-days`.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;

/// How often is looked for predictions whose time is over.
const EVERY: Duration = Duration::from_secs(3_600);

/// Removes predictions that are older than so many days, now and again and again. The latest of each customer
/// and target stays, however old it is. Trouble is logged, and the next look makes up for it.
pub async fn run(app: Arc<App>, keep_days: u32) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.store.remove_predictions(app.now().plus_days(-i64::from(keep_days))).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, keep_days, "old predictions are removed"),
            Err(error) => tracing::warn!(%error, "old predictions could not be removed"),
        }
    }
}
