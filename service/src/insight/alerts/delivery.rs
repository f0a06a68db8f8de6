//! Deliveries. Each alert is leased, tried, and its result stored; a server that dies in between leaves a lease that ends
//! soon, so that an alert is delivered at least once. A customer's alerts are delivered in order: an earlier one that is
//! pending holds back the later ones of the same customer, and nobody else's.

use std::{sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use tally_model::time::{DAY, Time};
use tally_store::{Alert, DeliveryResult, Lease};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::Instrument;
use uuid::Uuid;

use super::{Alerts, Webhook, event};
use crate::platform::{error::Result, metrics::MetricsRegistry};

/// How often the server looks for deliveries that are due.
const EVERY: Duration = Duration::from_millis(250);
/// How often the deliveries are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Tries at the same time.
const AT_ONCE: usize = 16;
/// How much longer than a try its lease lasts: the result has to be stored.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// The wait after the first failure, at least; it doubles with each up to the longest. The jitter adds up to as much.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(1_800);

/// What may become of a try.
const RESULTS: [&str; 3] = ["delivered", "failed", "parked"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

/// The metrics of deliveries.
#[derive(Clone)]
pub(super) struct DeliveryMetrics {
    tries: Family<ResultLabel, Counter>,
    pending: Gauge,
    parked: Gauge,
}

impl DeliveryMetrics {
    pub(super) fn new(metrics: &MetricsRegistry) -> Self {
        let tries: Family<ResultLabel, Counter> =
            metrics.register("tally_alert_deliveries", "Tries to deliver an alert, by their result");
        for result in RESULTS {
            drop(tries.get_or_create(&ResultLabel { result }));
        }
        Self {
            tries,
            pending: metrics.register("tally_alert_deliveries_pending", "Alerts that are to be delivered"),
            parked: metrics.register("tally_alert_deliveries_parked", "Alerts whose delivery was given up"),
        }
    }
}

/// Delivers alerts until it is cancelled. Errors are logged, and tried again in the next round.
pub(super) async fn run(alerts: Alerts, webhook: Arc<Webhook>) {
    let owner: Arc<str> = Uuid::new_v4().to_string().into();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut counts = interval(COUNT_EVERY);
    counts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tries: JoinSet<()> = JoinSet::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(_) = tries.join_next() => {}
            _ = counts.tick() => {
                if let Err(error) = count(&alerts).await {
                    tracing::warn!(%error, "the deliveries of alerts could not be counted");
                }
                continue;
            }
        }
        if tries.len() >= AT_ONCE {
            continue;
        }
        match claim(&alerts, &webhook, &owner, AT_ONCE - tries.len()).await {
            Ok(claimed) => {
                for alert in claimed {
                    let (alerts, webhook, owner) = (alerts.clone(), Arc::clone(&webhook), Arc::clone(&owner));
                    tries.spawn(
                        async move { attempt(&alerts, &webhook, &owner, alert).await }.in_current_span(),
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "alerts that are to be delivered could not be read"),
        }
    }
}

async fn claim(alerts: &Alerts, webhook: &Webhook, owner: &str, most: usize) -> Result<Vec<Alert>> {
    let length = webhook.timeout + LEASE_MARGIN;
    let lease = Lease { owner: owner.to_owned(), now: alerts.clock.now(), length };
    Ok(alerts.store.claim_deliveries(lease, most).await?)
}

async fn count(alerts: &Alerts) -> Result<()> {
    let (pending, parked) = alerts.store.count_deliveries().await?;
    alerts.deliveries.pending.set(pending as i64);
    alerts.deliveries.parked.set(parked as i64);
    Ok(())
}

/// Tries to deliver an alert, and stores the result.
async fn attempt(alerts: &Alerts, webhook: &Webhook, owner: &str, alert: Alert) {
    let id = alert.found.alert_id.as_str();
    let result = match try_once(alerts, webhook, &alert).await {
        Ok(result) => result,
        // The lease ends by itself.
        Err(error) => return tracing::error!(%error, alert = id, "an alert could not be written as an event"),
    };
    let label = match &result {
        DeliveryResult::Delivered => "delivered",
        DeliveryResult::Retry { .. } => "failed",
        DeliveryResult::Parked { error } => {
            tracing::warn!(error, alert = id, "an alert could not be delivered for a day and is parked");
            "parked"
        }
    };
    alerts.deliveries.tries.get_or_create(&ResultLabel { result: label }).inc();
    let stored = alerts.store.finish_delivery(id, owner, result, alerts.clock.now()).await;
    if let Err(error) = stored {
        tracing::warn!(%error, alert = id, "the result of a delivery could not be stored; it is tried again");
    }
}

async fn try_once(alerts: &Alerts, webhook: &Webhook, alert: &Alert) -> Result<DeliveryResult> {
    let body = event::body(alert)?;
    let Err(error) = webhook.send(&alert.found.alert_id, alerts.clock.now(), body).await? else {
        return Ok(DeliveryResult::Delivered);
    };
    let (now, error) = (alerts.clock.now(), error.to_string());
    tracing::debug!(error, alert = alert.found.alert_id, "an alert could not be delivered");
    let attempts = alert.delivery.as_ref().map_or(1, |delivery| delivery.attempts);
    // Not since the alert was stored: no server may have been there to try.
    let first = alert.delivery.as_ref().and_then(|delivery| delivery.first_attempt).unwrap_or(now);
    Ok(match now.0 - first.0 >= DAY {
        true => DeliveryResult::Parked { error },
        false => DeliveryResult::Retry { at: Time(now.0 + micros(wait(attempts))), error },
    })
}

/// How long to wait after so many tries.
fn wait(attempts: i64) -> Duration {
    let failures = usize::try_from(attempts - 1).unwrap_or_default();
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .without_max_times()
        .build();
    // The waits stop to grow long before that.
    waits.nth(failures.min(64)).unwrap_or(LONGEST_WAIT)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_with_jitter_up_to_the_longest() {
        for (attempts, least) in [(1, 500), (2, 1_000), (5, 8_000), (40, 1_800_000), (4_000, 1_800_000)] {
            let waited = wait(attempts).as_millis();
            assert!((least..=2 * least).contains(&waited), "{attempts}: {waited}");
        }
    }
}
