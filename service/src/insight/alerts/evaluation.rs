//! Evaluation of the rules: those about customers when a pass is complete, the others when what they are about is noticed
//! or its time has come.
//!
//! A rule may look at the same thing again and again, also after a crash and on several servers: what it finds has a
//! cause, of which only one alert is stored.

use std::time::{Duration, Instant};

use tally_model::{
    insight::{
        Facts,
        alert::{AlertRule, Condition, Finding},
    },
    time::{DAY, Time},
};
use tally_store::{NewAlert, OpenComplaint, UnwatchedPass};
use tokio::time::{MissedTickBehavior, interval};

use super::{Alerts, Subject, alert, models};
use crate::{insight::Insights, monitoring::HealthReceiver, platform::error::Result};

/// How often what is new is looked at: passes and refusals.
const EVERY: Duration = Duration::from_secs(1);
/// How often complaints are looked through.
const COMPLAINTS_EVERY: Duration = Duration::from_secs(10);
/// How often what is counted in days is looked at. That a kind of interaction is silent takes a look at all interactions.
const DAYS_EVERY: Duration = Duration::from_secs(3_600);
/// Complaints that were open before a rule looked at them for the first time are looked at when they are not older than
/// this, beyond the hours of the rule.
const COMPLAINT_DAYS: i64 = 30;
/// Customers and complaints that are read at a time.
const PAGE: usize = 1_000;
const HOUR: i64 = DAY / 24;

/// Evaluates the rules until it is cancelled. Errors are logged, and the rules are evaluated again in the next round.
pub(super) async fn run(alerts: Alerts, insights: Insights, mut health: HealthReceiver) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut complaints, mut days) = (Schedule::new(COMPLAINTS_EVERY), Schedule::new(DAYS_EVERY));
    // What is known already is news to this server.
    health.mark_changed();
    loop {
        ticks.tick().await;
        report("passes", watch_pass(&alerts, &insights).await);
        report("refused models", models::refused(&alerts).await);
        if complaints.is_due() {
            report("complaints", watch_complaints(&alerts, &insights).await);
        }
        if days.is_due() {
            report("populations", models::not_scored(&alerts, &insights).await);
            report("kinds of interaction", watch_kinds(&alerts).await);
        }
        if health.has_changed().unwrap_or(false) {
            let known = health.borrow_and_update().clone();
            report("models", models::unhealthy(&alerts, &insights, &known).await);
        }
    }
}

/// When something is done again.
struct Schedule {
    every: Duration,
    last: Option<Instant>,
}

impl Schedule {
    const fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.every);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

fn report(what: &str, result: Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the rules of alerts about {what} could not be evaluated");
    }
}

/// Compares the latest pass with the one that was compared before. The first one is only what later ones are compared
/// with: that all customers are new in it is no news.
#[tracing::instrument(name = "alerts of a pass", skip_all)]
async fn watch_pass(alerts: &Alerts, insights: &Insights) -> Result<()> {
    if !alerts.settings.rules.look_at_passes() {
        return Ok(());
    }
    let Some(pass) = insights.store.unwatched_pass().await? else { return Ok(()) };
    if pass.before.is_some() {
        let mut after = None;
        loop {
            let changes = insights.store.customer_changes(pass, after, PAGE).await?;
            let Some((last, _)) = changes.last() else { break };
            after = Some(last.clone());
            let found = changes.iter().flat_map(|(_, change)| {
                let of_rule = move |rule: &AlertRule| {
                    let finding = change.finding(&rule.condition)?;
                    Some(alert_of_pass(rule, &change.customer_id, pass, finding))
                };
                alerts.settings.rules.rules.iter().filter_map(of_rule)
            });
            alerts.record(found.collect()).await?;
        }
    }
    Ok(insights.store.mark_watched(pass.pass_id).await?)
}

fn alert_of_pass(rule: &AlertRule, customer_id: &str, pass: UnwatchedPass, finding: Finding) -> NewAlert {
    let cause = format!("{} {customer_id}", pass.as_of.0);
    alert(rule, Subject::Customer(customer_id.to_owned()), (cause, pass.as_of), finding)
}

/// Finds complaints that are open for too long.
#[tracing::instrument(name = "alerts of complaints", skip_all)]
async fn watch_complaints(alerts: &Alerts, insights: &Insights) -> Result<()> {
    for rule in &alerts.settings.rules.rules {
        let Condition::ComplaintOpen { hours } = rule.condition else { continue };
        let now = alerts.clock.now();
        // Open for longer than the limit: one that happened at the limit is not yet.
        let to = Time(now.0 - i64::from(hours) * HOUR - 1);
        let mut after = None;
        loop {
            let between = (to.plus_days(-COMPLAINT_DAYS), to);
            let page = insights.store.open_complaints(between, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            let mut found = Vec::new();
            for complaint in page {
                if !complaint.merged || is_open(&complaint, insights, now).await? {
                    found.push(alert_of_complaint(rule, complaint, hours, now));
                }
            }
            alerts.record(found).await?;
        }
    }
    Ok(())
}

/// Whether no resolution under any id of a merged customer has followed a complaint.
async fn is_open(complaint: &OpenComplaint, insights: &Insights, now: Time) -> Result<bool> {
    let survivor = insights.histories.survivors(vec![complaint.customer_id.clone()]);
    let Some(history) = insights.store.histories(&survivor).await?.pop().flatten() else { return Ok(false) };
    let facts = history.with(|history| Facts::of(history, now, now, &insights.spec))?;
    let resolution = facts.and_then(|facts| facts.last_resolution);
    Ok(resolution.is_none_or(|resolution| resolution < complaint.occur_time))
}

fn alert_of_complaint(rule: &AlertRule, complaint: OpenComplaint, hours: u32, now: Time) -> NewAlert {
    let cause = format!("{} {}", complaint.interaction_id, complaint.customer_id);
    let hour = if hours == 1 { "hour" } else { "hours" };
    let open = (now.0 - complaint.occur_time.0) as f64 / HOUR as f64;
    let since = complaint.occur_time;
    let message =
        format!("a complaint has been open since {since}, for {open:.1} hours; the limit is {hours} {hour}");
    let finding = Finding::above(message, open, hours.into());
    let as_of = Time(complaint.occur_time.0 + i64::from(hours) * HOUR);
    alert(rule, Subject::Customer(complaint.customer_id), (cause, as_of), finding)
}

/// Finds kinds of interaction of which none was recorded for too long. A kind that has never occurred is not silent.
#[tracing::instrument(name = "alerts of kinds", skip_all)]
async fn watch_kinds(alerts: &Alerts) -> Result<()> {
    let mut found = Vec::new();
    for rule in &alerts.settings.rules.rules {
        let Condition::KindSilent { interaction_kind, days } = &rule.condition else { continue };
        let since = alerts.clock.now().plus_days(-i64::from(*days));
        if alerts.store.has_kind_since(interaction_kind, since).await? {
            continue;
        }
        if let Some(last) = alerts.store.last_of_kind(interaction_kind).await?.filter(|last| *last < since) {
            let finding = Finding {
                limit: Some((*days).into()),
                ..Finding::plain(format!(
                    "no {interaction_kind} was recorded for more than {}, the last one at {last}",
                    of_days(*days)
                ))
            };
            let cause = (format!("{interaction_kind} {}", last.0), last.plus_days((*days).into()));
            found.push(alert(rule, Subject::Thing(interaction_kind.clone()), cause, finding));
        }
    }
    alerts.record(found).await
}

/// Days as a text.
pub(super) fn of_days(days: u32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}
