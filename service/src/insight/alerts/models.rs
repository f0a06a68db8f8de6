//! Rules about models: what monitoring and the gate notice.

use tally_model::{
    insight::alert::{Condition, Finding},
    spec::Target,
    time::Time,
};
use tally_store::NewAlert;

use super::{Alerts, Subject, alert, evaluation::of_days};
use crate::{catalog::ModelName, insight::Insights, monitoring::ModelHealth, platform::error::Result};

/// Refusals that are older are no news when a rule is set.
const REFUSAL_DAYS: i64 = 7;

/// Whether a rule of a target looks at this one.
fn is_of(rule: Option<Target>, target: Target) -> bool {
    rule.is_none_or(|rule| rule == target)
}

/// Finds models that the gate refused.
pub(super) async fn refused(alerts: &Alerts) -> Result<()> {
    let rules = &alerts.settings.rules.rules;
    if !rules.iter().any(|rule| matches!(rule.condition, Condition::ModelRefused { .. })) {
        return Ok(());
    }
    let since = alerts.clock.now().plus_days(-REFUSAL_DAYS);
    let mut found = Vec::new();
    for refusal in alerts.store.refusals(since).await? {
        let name = ModelName { target: refusal.target, version: refusal.model_version }.to_string();
        for rule in rules {
            let Condition::ModelRefused { target } = rule.condition else { continue };
            if is_of(target, refusal.target) {
                let cause = (format!("{name} {}", refusal.reason), refusal.refuse_time);
                let reason = in_words(&refusal.reason);
                let finding = Finding::plain(format!("the gate refused to promote {name}: {reason}"));
                found.push(alert(rule, Subject::Thing(name.clone()), cause, finding));
            }
        }
    }
    alerts.record(found).await
}

/// The reason of a refusal in words, with its code for those who look it up.
fn in_words(code: &str) -> String {
    let words = match code {
        "FAILED_CHECK" => "it fails a check of its training",
        "WORSE_THAN_CHAMPION" => "it is worse than the champion",
        "NO_BETTER_THAN_CHAMPION" => "it is no better than the champion",
        "NOT_COMPARABLE" => "it cannot be compared with the champion",
        _ => return code.to_owned(),
    };
    format!("{words} ({code})")
}

/// Finds champions that have not scored a population for too long.
#[tracing::instrument(name = "alerts of populations", skip_all)]
pub(super) async fn not_scored(alerts: &Alerts, insights: &Insights) -> Result<()> {
    let rules = &alerts.settings.rules.rules;
    if !rules.iter().any(|rule| matches!(rule.condition, Condition::NotScored { .. })) {
        return Ok(());
    }
    insights.catalog.refresh().await?;
    let now = alerts.clock.now();
    let mut found = Vec::new();
    for champion in insights.catalog.champions() {
        let name = champion.name;
        let Some(last) = last_scored(alerts, name).await? else { continue };
        for rule in rules {
            let Condition::NotScored { days, target } = rule.condition else { continue };
            let due = last.plus_days(days.into());
            if is_of(target, name.target) && now > due {
                let message = format!(
                    "{name} has not scored a population for more than {}, since {last}",
                    of_days(days)
                );
                let finding = Finding { limit: Some(days.into()), ..Finding::plain(message) };
                let cause = (format!("{name} {}", last.0), due);
                found.push(alert(rule, Subject::Thing(name.to_string()), cause, finding));
            }
        }
    }
    alerts.record(found).await
}

/// When a champion last scored a population; when it became the champion, if it has not yet.
async fn last_scored(alerts: &Alerts, name: ModelName) -> Result<Option<Time>> {
    let population = alerts.store.population(name.target, name.version).await?;
    let promotion = alerts.store.promotions(name.target, None, 1).await?.pop();
    let promoted = promotion.filter(|promotion| promotion.to == name.version).map(|promotion| promotion.time);
    Ok(promoted.max(population.map(|population| population.score_time)))
}

/// Finds champions that have drifted or rank worse than their cards.
#[tracing::instrument(name = "alerts of models", skip_all)]
pub(super) async fn unhealthy(alerts: &Alerts, insights: &Insights, health: &ModelHealth) -> Result<()> {
    let mut found = drifted(alerts, health);
    found.extend(worse(alerts, insights, health).await?);
    alerts.record(found).await
}

fn drifted(alerts: &Alerts, health: &ModelHealth) -> Vec<NewAlert> {
    let mut found = Vec::new();
    for drift in &health.drifts {
        let (name, moved) = (drift.model, drift.psi);
        for rule in &alerts.settings.rules.rules {
            let Condition::ModelDrifted { psi, target } = rule.condition else { continue };
            if is_of(target, name.target) && moved >= psi && !drift.may_be_chance {
                let message = format!("the score of {name} has drifted from its training: PSI {moved:.3}");
                let cause = (name.to_string(), drift.as_of);
                let finding = Finding::above(message, moved, psi);
                found.push(alert(rule, Subject::Thing(name.to_string()), cause, finding));
            }
        }
    }
    found
}

/// A model ranks worse than its card when even the upper end of the interval of its AUC is below that of the card.
async fn worse(alerts: &Alerts, insights: &Insights, health: &ModelHealth) -> Result<Vec<NewAlert>> {
    let mut found = Vec::new();
    for month in &health.months {
        let (name, Some(auc), Some(interval)) = (month.model, month.auc, month.auc_interval) else {
            continue;
        };
        for rule in &alerts.settings.rules.rules {
            let Condition::ModelWorse { target } = rule.condition else { continue };
            if !is_of(target, name.target) {
                continue;
            }
            let card = insights.catalog.version(name).await?.scorer.artifact().card.holdout.auc;
            if interval.upper < card {
                let message = format!(
                    "{name} ranks worse than its card: AUC {auc:.3}, at most {:.3}, in {}; {card:.3} in the card",
                    interval.upper,
                    month.name()
                );
                let cause = (format!("{name} {}", month.name()), month.start);
                let finding = Finding { value: Some(auc), limit: Some(card), ..Finding::plain(message) };
                found.push(alert(rule, Subject::Thing(name.to_string()), cause, finding));
            }
        }
    }
    Ok(found)
}
