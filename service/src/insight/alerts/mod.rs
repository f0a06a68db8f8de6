//! Early warning: rules that find what somebody wants to be told, the list and the stream of what they found, and its
//! delivery by webhook.
//!
//! Every server with rules evaluates all of them. Two servers make one alert of one cause, since the store refuses the
//! second. What is to be delivered is written with the alert, and leased by the server that delivers it.

mod delivery;
mod evaluation;
mod event;
mod feed;
mod models;
mod webhook;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tally_model::{
    insight::alert::{AlertKind, AlertRule, AlertRules, Finding},
    time::Time,
};
use tally_store::{Acknowledgement, Alert, AlertFilter, NewAlert, Store};
use uuid::Uuid;

use super::Insights;
use crate::{
    deployment::Deployment,
    platform::{
        clock::Clock,
        error::{Error, Result, Shortened},
        metrics::MetricsRegistry,
    },
};
use delivery::DeliveryMetrics;
pub use feed::AlertFeed;
pub use webhook::Webhook;

/// Rules that an error names: a message of a call has to fit into its trailers.
const NAMED_RULES: usize = 20;

/// The rules of a server, and where it sends what they find.
#[derive(Clone, Default)]
pub struct AlertSettings {
    /// The rules.
    pub rules: Arc<AlertRules>,
    /// Where alerts are sent.
    pub webhook: Option<Arc<Webhook>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

/// Lists, watches, makes and delivers alerts. Clones share everything.
#[derive(Clone)]
pub struct Alerts {
    store: Arc<dyn Store>,
    clock: Arc<Clock>,
    /// Says which currency money has.
    deployment: Deployment,
    settings: AlertSettings,
    /// Wakes those who watch.
    feed: AlertFeed,
    /// Stored alerts by kind.
    stored: Family<KindLabel, Counter>,
    deliveries: DeliveryMetrics,
}

impl Alerts {
    /// Alerts in `store`, without rules.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<Clock>, metrics: &MetricsRegistry) -> Self {
        let stored: Family<KindLabel, Counter> =
            metrics.register("tally_alerts", "Alerts that this server has stored");
        // Increases from 0 are seen by those who read the metrics.
        for kind in AlertKind::ALL {
            drop(stored.get_or_create(&KindLabel { kind: kind.name() }));
        }
        Self {
            deployment: Deployment::new(Arc::clone(&store)),
            store,
            clock,
            settings: AlertSettings::default(),
            feed: AlertFeed::default(),
            stored,
            deliveries: DeliveryMetrics::new(metrics),
        }
    }

    /// The same alerts with these rules.
    #[must_use]
    pub fn with(self, settings: AlertSettings) -> Self {
        Self { settings, ..self }
    }

    /// The rules, and where alerts are sent.
    #[must_use]
    pub const fn settings(&self) -> &AlertSettings {
        &self.settings
    }

    /// What tells those who watch of new alerts.
    #[must_use]
    pub const fn feed(&self) -> &AlertFeed {
        &self.feed
    }

    /// At most `limit` alerts, newest first, before the one with this sequence, and how many pass the filter. Those of a
    /// merged customer are its survivor's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        mut filter: AlertFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Alert>, u64)> {
        if let Some(id) = &filter.customer_id
            && let Some(customer) = self.store.customer(id).await?
        {
            filter.customer_id = Some(customer.customer_id);
        }
        let total = self.store.count_alerts(&filter).await?;
        Ok((self.store.alerts(&filter, before, limit).await?, total))
    }

    /// Refuses a rule that this server does not have and no stored alert names.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names rules of this server; when the store fails.
    pub async fn check_rule(&self, rule: &str) -> Result<()> {
        let known = &self.settings.rules.rules;
        let of_rule = AlertFilter { rule: Some(rule.to_owned()), ..AlertFilter::default() };
        if known.iter().any(|one| one.name == rule) || self.store.count_alerts(&of_rule).await? > 0 {
            return Ok(());
        }
        let names: Vec<String> =
            known.iter().take(NAMED_RULES).map(|one| format!("`{}`", one.name)).collect();
        let more = match known.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let allowed = match names.as_slice() {
            [] => "this server has no rules".to_owned(),
            names => format!("the rules of this server are {}{more}", names.join(", ")),
        };
        let error = format!("is `{}`, which is no rule and has no alerts; {allowed}", Shortened(rule));
        Err(Error::invalid("rule", error))
    }

    /// The names of the customers of some alerts, by their ids.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn customer_names(&self, alerts: &[Alert]) -> Result<HashMap<String, String>> {
        let ids: BTreeSet<&String> =
            alerts.iter().filter_map(|alert| alert.found.customer_id.as_ref()).collect();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = ids.into_iter().cloned().collect();
        Ok(self.store.customer_names(&ids).await?)
    }

    /// Notes who has seen an alert. Repeating a call, for example after its reply was lost, returns the same reply.
    ///
    /// # Errors
    /// NOT_FOUND (ALERT_NOT_FOUND) when it is not stored; FAILED_PRECONDITION (ALREADY_ACKNOWLEDGED) when it was
    /// acknowledged before, by somebody else or with another note; when the store fails.
    pub async fn acknowledge(&self, alert_id: &str, who: String, note: String) -> Result<Alert> {
        let seen = Acknowledgement { time: self.clock.now(), who, note };
        let alert = self.store.acknowledge_alert(alert_id, seen.clone()).await?;
        let alert = alert.ok_or_else(|| Error::NotFound {
            reason: "ALERT_NOT_FOUND",
            about: vec![("alert_id", alert_id.to_owned())],
            message: format!("no alert `{alert_id}` is stored"),
        })?;
        match &alert.acknowledgement {
            Some(stored) if (&stored.who, &stored.note) != (&seen.who, &seen.note) => {
                Err(acknowledged_before(alert_id, stored))
            }
            _ => Ok(alert),
        }
    }

    /// At most `limit` alerts that were stored after the one with this sequence, in order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn after(&self, sequence: i64, limit: usize) -> Result<Vec<Alert>> {
        Ok(self.store.alerts_after(sequence, limit).await?)
    }

    /// The sequence that all alerts up to now have or are below.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn last(&self) -> Result<i64> {
        Ok(self.store.last_alert().await?)
    }

    /// Tells those who watch of new alerts, from whichever server, until it is cancelled.
    pub async fn follow(self) {
        self.feed.run(&*self.store).await;
    }

    /// Evaluates the rules until it is cancelled.
    pub async fn evaluate(self, insights: Insights, health: crate::monitoring::HealthReceiver) {
        evaluation::run(self, insights, health).await;
    }

    /// Delivers alerts until it is cancelled, if they are to be.
    pub async fn deliver(self) {
        if let Some(webhook) = self.settings.webhook.clone() {
            delivery::run(self, webhook).await;
        }
    }

    /// Stores what rules found, and what is to be delivered of it.
    async fn record(&self, alerts: Vec<NewAlert>) -> Result<()> {
        if alerts.is_empty() {
            return Ok(());
        }
        let deliver = self.settings.webhook.is_some();
        for kind in self.store.insert_alerts(alerts, self.clock.now(), deliver).await? {
            self.stored.get_or_create(&KindLabel { kind: AlertKind::name(kind) }).inc();
        }
        Ok(())
    }
}

/// What was noted before stays. Its note is left out, since errors are logged and notes may be about persons.
fn acknowledged_before(alert_id: &str, Acknowledgement { time, who, .. }: &Acknowledgement) -> Error {
    let message = format!(
        "alert `{alert_id}` was acknowledged by `{}` at {time}; that stays, and nothing was added to it",
        Shortened(who)
    );
    Error::Precondition { reason: "ALREADY_ACKNOWLEDGED", message }
}

/// Whom or what an alert is about.
enum Subject {
    Customer(String),
    Thing(String),
}

/// An alert of a rule.
fn alert(rule: &AlertRule, about: Subject, (cause, as_of): (String, Time), finding: Finding) -> NewAlert {
    let (customer_id, subject) = match about {
        Subject::Customer(id) => (Some(id), String::new()),
        Subject::Thing(name) => (None, name),
    };
    NewAlert {
        alert_id: Uuid::now_v7().to_string(),
        customer_id,
        subject,
        rule: rule.name.clone(),
        kind: rule.condition.kind(),
        cause,
        as_of,
        finding,
    }
}
