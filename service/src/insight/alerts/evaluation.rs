//! Evaluation of the rules: those about customers when a pass is complete, the others when what they are about is noticed
//! or its time has come.
//!
//! A rule may look at the same thing again and again, also after a crash and on several servers: what it finds has a
//! cause, of which only one alert is stored.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use tally_model::{
    artifact::CENTS,
    counted,
    insight::{
        Facts,
        alert::{AlertRule, Condition, Finding, MoneyFormat},
    },
    time::{DAY, Time},
};
use tally_store::{ComplaintNews, ComplaintQuery, NewAlert, OpenComplaint, UnwatchedPass};
use tokio::time::{MissedTickBehavior, interval};

use super::{Alerts, Subject, alert, models};
use crate::{
    deployment::DeploymentSettings, insight::Insights, monitoring::HealthReceiver, platform::error::Result,
};

/// How often what is new is looked at: passes and refusals.
const EVERY: Duration = Duration::from_secs(1);
/// How often complaints are looked through for those that are news: open for too long since the last time, or recorded
/// since then.
const COMPLAINTS_EVERY: Duration = Duration::from_secs(10);
/// How often all of them are: those that were imported as history, and those whose resolution was retracted.
const ALL_COMPLAINTS_EVERY: Duration = Duration::from_secs(3_600);
/// What was recorded so long before the last look may have been stored after it, by the clock of another server.
const LATE_COMMIT: i64 = 60_000_000;
/// How often what is counted in days is looked at. Since when a kind is silent takes a look at all interactions.
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
    let (mut complaints, mut days) = (ComplaintRounds::new(), Schedule::new(DAYS_EVERY));
    let mut unknown_kinds = HashSet::new();
    // What is known already is news to this server.
    health.mark_changed();
    loop {
        ticks.tick().await;
        report("passes", &watch_pass(&alerts, &insights).await);
        report("refused models", &models::refused(&alerts).await);
        complaints.watch(&alerts, &insights).await;
        if days.is_due() {
            let populations = report("populations", &models::not_scored(&alerts, &insights).await);
            if report("kinds of interaction", &watch_kinds(&alerts, &mut unknown_kinds).await) && populations
            {
                days.done();
            }
        }
        if health.has_changed().unwrap_or(false) {
            let known = health.borrow_and_update().clone();
            if !report("models", &models::unhealthy(&alerts, &insights, &known).await) {
                health.mark_changed();
            }
        }
    }
}

/// When complaints were looked through.
struct ComplaintRounds {
    news: Schedule,
    all: Schedule,
    last: Option<Time>,
}

impl ComplaintRounds {
    const fn new() -> Self {
        let (news, all) = (Schedule::new(COMPLAINTS_EVERY), Schedule::new(ALL_COMPLAINTS_EVERY));
        Self { news, all, last: None }
    }

    /// Looks through the complaints that it is time for.
    async fn watch(&mut self, alerts: &Alerts, insights: &Insights) {
        if !self.news.is_due() {
            return;
        }
        let (now, all) = (alerts.clock.now(), self.all.is_due());
        let since = self.last.filter(|_| !all);
        if report("complaints", &watch_complaints(alerts, insights, (now, since)).await) {
            self.last = Some(now);
            self.news.done();
            if all {
                self.all.done();
            }
        }
    }
}

/// When something is to be done again: a while after it was done.
struct Schedule {
    every: Duration,
    last: Option<Instant>,
}

impl Schedule {
    const fn new(every: Duration) -> Self {
        Self { every, last: None }
    }

    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= self.every)
    }

    fn done(&mut self) {
        self.last = Some(Instant::now());
    }
}

/// Logs an error. Returns whether there is none.
fn report(what: &str, result: &Result<()>) -> bool {
    if let Err(error) = result {
        tracing::warn!(%error, "the rules of alerts about {what} could not be evaluated; trying again");
    }
    result.is_ok()
}

/// Compares the latest pass with the one that was compared before. The first one is only what later ones are compared
/// with: that all customers are new in it is no news. So is the first one by other definitions, by which any number of
/// customers may look worse on the same day.
#[tracing::instrument(name = "alerts of a pass", skip_all)]
async fn watch_pass(alerts: &Alerts, insights: &Insights) -> Result<()> {
    if !alerts.settings.rules.look_at_passes() {
        return Ok(());
    }
    let Some(pass) = insights.store.unwatched_pass().await? else { return Ok(()) };
    if is_compared(insights, pass).await? {
        let DeploymentSettings { currency, amount_decimals } = alerts.deployment.settings().await?;
        let format = &MoneyFormat { currency, decimals: amount_decimals.unwrap_or(CENTS) };
        let mut after = None;
        loop {
            let changes = insights.store.customer_changes(pass, after, PAGE).await?;
            let Some((last, _)) = changes.last() else { break };
            after = Some(last.clone());
            let found = changes.iter().flat_map(|(_, change)| {
                let of_rule = move |rule: &AlertRule| {
                    let finding = change.finding(&rule.condition, format)?;
                    Some(alert_of_pass(rule, &change.customer_id, pass, finding))
                };
                alerts.settings.rules.rules.iter().filter_map(of_rule)
            });
            alerts.record(found.collect()).await?;
        }
    }
    Ok(insights.store.mark_watched(pass.pass_id).await?)
}

/// Whether there is a pass to compare with, by the same definitions.
async fn is_compared(insights: &Insights, pass: UnwatchedPass) -> Result<bool> {
    let Some(before) = pass.before else { return Ok(false) };
    let (now, before) = (insights.store.pass(pass.pass_id).await?, insights.store.pass(before).await?);
    // One that is removed meanwhile is noticed when its customers are read.
    let (Some(now), Some(before)) = (now, before) else { return Ok(true) };
    let is_comparable = now.population.is_comparable_with(&before.population);
    if !is_comparable {
        let (as_of, before) = (now.population.as_of, before.population.as_of);
        tracing::info!(%as_of, %before, "other definitions than before: this pass is only compared with later ones");
    }
    Ok(is_comparable)
}

fn alert_of_pass(rule: &AlertRule, customer_id: &str, pass: UnwatchedPass, finding: Finding) -> NewAlert {
    let cause = format!("{} {customer_id}", pass.as_of.0);
    alert(rule, Subject::Customer(customer_id.to_owned()), (cause, pass.as_of), finding)
}

/// Finds complaints that are open for too long: all of them, or those that are news since an earlier moment.
#[tracing::instrument(name = "alerts of complaints", skip_all)]
async fn watch_complaints(
    alerts: &Alerts,
    insights: &Insights,
    (now, since): (Time, Option<Time>),
) -> Result<()> {
    for rule in &alerts.settings.rules.rules {
        let Condition::ComplaintOpen { hours } = rule.condition else { continue };
        // Open for longer than the limit: one that happened at the limit is not yet.
        let limit = |now: Time| Time(now.0 - i64::from(hours) * HOUR - 1);
        let news =
            |since: Time| ComplaintNews { after: limit(since), recorded_after: Time(since.0 - LATE_COMMIT) };
        let (after, until) = (limit(now).plus_days(-COMPLAINT_DAYS), limit(now));
        let query = ComplaintQuery { after, until, news: since.map(news) };
        let mut last = None;
        loop {
            let page = insights.store.open_complaints(query, last.as_ref(), PAGE).await?;
            last = page.last().cloned();
            if last.is_none() {
                break;
            }
            record_open(alerts, insights, (rule, hours, now), page).await?;
        }
    }
    Ok(())
}

/// Stores the alerts of those complaints that have none yet. Only of these, the histories of merged customers are read.
async fn record_open(
    alerts: &Alerts,
    insights: &Insights,
    (rule, hours, now): (&AlertRule, u32, Time),
    complaints: Vec<OpenComplaint>,
) -> Result<()> {
    let found = complaints.iter().map(|complaint| alert_of_complaint(rule, complaint, (hours, now)));
    let unknown = insights.store.without_known_causes(found.collect()).await?;
    let causes: HashSet<&str> = unknown.iter().map(|alert| alert.cause.as_str()).collect();
    let mut closed = HashSet::new();
    for complaint in complaints.iter().filter(|complaint| complaint.merged) {
        let cause = cause_of_complaint(complaint);
        if causes.contains(cause.as_str()) && !is_open(complaint, insights, now).await? {
            closed.insert(cause);
        }
    }
    alerts.record(unknown.into_iter().filter(|alert| !closed.contains(&alert.cause)).collect()).await
}

/// An id of the caller and a customer's, which have no control characters.
fn cause_of_complaint(complaint: &OpenComplaint) -> String {
    format!("{}\n{}", complaint.interaction_id, complaint.customer_id)
}

/// Whether no resolution under any id of a merged customer has followed a complaint.
async fn is_open(complaint: &OpenComplaint, insights: &Insights, now: Time) -> Result<bool> {
    let survivor = insights.histories.survivors(vec![complaint.customer_id.clone()]);
    let Some(history) = insights.store.histories(&survivor).await?.pop().flatten() else { return Ok(false) };
    let facts = history.with(|history| Facts::of(history, now, now, &insights.spec))?;
    let resolution = facts.and_then(|facts| facts.last_resolution);
    Ok(resolution.is_none_or(|resolution| resolution < complaint.occur_time))
}

fn alert_of_complaint(rule: &AlertRule, complaint: &OpenComplaint, (hours, now): (u32, Time)) -> NewAlert {
    let open = (now.0 - complaint.occur_time.0) as f64 / HOUR as f64;
    let since = complaint.occur_time;
    let [lasts, limit] = durations([open, hours.into()]);
    let message = format!("a complaint has been open since {since}, for {lasts}; the limit is {limit}");
    let finding = Finding::above(message, open, hours.into());
    let as_of = Time(complaint.occur_time.0 + i64::from(hours) * HOUR);
    let customer = Subject::Customer(complaint.customer_id.clone());
    alert(rule, customer, (cause_of_complaint(complaint), as_of), finding)
}

/// Finds kinds of interaction of which none was recorded for too long. A kind that has never occurred is not silent, but
/// may be misspelt: that is logged once, and noted in `unknown`.
#[tracing::instrument(name = "alerts of kinds", skip_all)]
async fn watch_kinds(alerts: &Alerts, unknown: &mut HashSet<String>) -> Result<()> {
    let mut found = Vec::new();
    for rule in &alerts.settings.rules.rules {
        let Condition::KindSilent { interaction_kind, days } = &rule.condition else { continue };
        let since = alerts.clock.now().plus_days(-i64::from(*days));
        if alerts.store.has_kind_since(interaction_kind, since).await? {
            continue;
        }
        let last = alerts.store.last_of_kind(interaction_kind).await?;
        if last.is_none() && unknown.insert(interaction_kind.clone()) {
            tracing::warn!(
                "the rule {:?} of alerts has no effect yet: no interaction of the kind {interaction_kind:?} was ever \
                 stored; is it spelt as in the data?",
                rule.name
            );
        }
        if let Some(last) = last.filter(|last| *last < since) {
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

/// How long something is open, and how long it may be, both in hours: from two days on in days, which are easier to grasp.
fn durations([open, limit]: [f64; 2]) -> [String; 2] {
    let (hours, unit) = if open < 48.0 { (1.0, "hours") } else { (24.0, "days") };
    [open, limit].map(|duration| format!("{:.1} {unit}", duration / hours))
}

/// Days as a text.
pub(super) fn of_days(days: u32) -> String {
    counted(days, "day", "days")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_two_days_on_times_are_in_days() {
        assert_eq!(durations([25.5, 24.0]), ["25.5 hours", "24.0 hours"]);
        assert_eq!(durations([765.8, 36.0]), ["31.9 days", "1.5 days"]);
    }

    #[test]
    fn what_has_failed_is_due_in_the_next_round() {
        let mut schedule = Schedule::new(DAYS_EVERY);
        assert!(schedule.is_due() && schedule.is_due(), "nothing was done");
        schedule.done();
        assert!(!schedule.is_due());
        assert!(Schedule { every: Duration::ZERO, ..schedule }.is_due());
    }
}
