//! The audit log. What is done is noted where it is done, in the same transaction where there is one; what is refused
//! or fails is counted here and noted by the minute, so that nobody can fill the disk by being refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tally_store::{AuditEvent, AuditFilter, AuditHead, NewAuditEvent, Store};
use tokio::time::{MissedTickBehavior, interval};

use crate::platform::{
    actor::{self, Actor},
    clock::Clock,
    error::{Error, Result},
};

/// How often the counts are noted.
const EVERY: Duration = Duration::from_secs(60);
/// The most counts that are kept apart.
const COUNTS: usize = 100;
/// Stands for all callers beyond those that are kept apart.
const OTHERS: &str = "others";
/// The action of reading a file of tokens, keys or certificates again.
const RELOAD: &str = "ReloadFile";

/// The RPCs whose success is noted, so that their failures are counted.
const AUDITED: [&str; 9] = [
    "BackupDatabase",
    "DeleteCustomer",
    "ExportCustomer",
    "MergeCustomers",
    "PromoteModel",
    "PublishWorklist",
    "RefreshInsights",
    "RetractInteractions",
    "RollbackModel",
];

/// What is counted together: the caller, the RPC and the gRPC code.
type Key = (String, &'static str, String);

/// Writes and reads the audit log. Clones share it.
#[derive(Clone)]
pub struct AuditLog(Arc<AuditState>);

struct AuditState {
    store: Arc<dyn Store>,
    clock: Arc<Clock>,
    counts: Mutex<HashMap<Key, i64>>,
}

/// Whether the success of an RPC is noted, by the path in its URL.
#[must_use]
pub fn is_audited(path: &str) -> bool {
    AUDITED.contains(&method(path))
}

/// The name of an RPC in its path.
fn method(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, method)| method)
}

impl AuditLog {
    /// The log in this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<Clock>) -> Self {
        Self(Arc::new(AuditState { store, clock, counts: Mutex::default() }))
    }

    /// An event of now, that this was done.
    #[must_use]
    pub fn done(&self, by: &Actor, action: &str) -> NewAuditEvent {
        NewAuditEvent::done(self.0.clock.now(), by, action)
    }

    /// Notes an event.
    ///
    /// # Errors
    /// When the store fails; then what it is about must not be done.
    pub async fn note(&self, event: NewAuditEvent) -> Result<()> {
        Ok(self.0.store.append_audit(vec![event]).await?)
    }

    /// Notes that this server has read a file again, or why it has not.
    pub async fn note_reload(&self, read: &Result<String>) {
        let event = self.done(&actor::of_this_process(), RELOAD);
        let event = match read {
            Ok(flags) => event.about(flags.as_str()),
            Err(Error::Invalid(violations)) => {
                let flags: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
                NewAuditEvent { outcome: "INVALID_ARGUMENT".to_owned(), ..event.about(flags.join(" ")) }
            }
            Err(_) => NewAuditEvent { outcome: "INTERNAL".to_owned(), ..event },
        };
        if let Err(error) = self.note(event).await {
            tracing::error!(%error, "that a file was read again is missing in the audit log");
        }
    }

    /// Counts a call that was refused or failed; `caller` is the address when nobody is known. The path is that of an
    /// RPC of this server: others are not counted.
    pub fn count(&self, caller: &str, path: &'static str, outcome: &str) {
        let mut counts = self.counts();
        let key = |caller: &str| (caller.to_owned(), method(path), outcome.to_owned());
        let own = key(caller);
        let is_kept_apart = counts.len() < COUNTS || counts.contains_key(&own);
        *counts.entry(if is_kept_apart { own } else { key(OTHERS) }).or_default() += 1;
    }

    /// Notes the counts every minute, until it is cancelled.
    pub async fn run(self) {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.flush().await;
        }
    }

    /// Notes the counts. Those that cannot be noted are kept for the next time.
    pub async fn flush(&self) {
        let counts: Vec<(Key, i64)> = self.counts().drain().collect();
        if counts.is_empty() {
            return;
        }
        let time = self.0.clock.now();
        let mut events: Vec<NewAuditEvent> =
            counts.iter().map(|(key, count)| refused(key, *count, time)).collect();
        events.sort_by(|a, b| (&a.by.name, &a.action, &a.outcome).cmp(&(&b.by.name, &b.action, &b.outcome)));
        if let Err(error) = self.0.store.append_audit(events).await {
            tracing::error!(%error, "refused calls are not in the audit log yet");
            let mut kept = self.counts();
            counts.into_iter().for_each(|(key, count)| *kept.entry(key).or_default() += count);
        }
    }

    /// At most `limit` events behind the one with the sequence `after`.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        filter: &AuditFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEvent>> {
        Ok(self.0.store.audit_events(filter, after, limit).await?)
    }

    /// The number of events that pass the filter, and the end of the log.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn extent(&self, filter: &AuditFilter) -> Result<(u64, AuditHead)> {
        Ok((self.0.store.count_audit_events(filter).await?, self.0.store.audit_head().await?))
    }

    // No critical section leaves the counts half changed.
    fn counts(&self) -> MutexGuard<'_, HashMap<Key, i64>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused((caller, method, outcome): &Key, count: i64, time: tally_model::time::Time) -> NewAuditEvent {
    let by = Actor { name: caller.clone(), request_id: String::new() };
    NewAuditEvent { outcome: outcome.clone(), count, ..NewAuditEvent::done(time, &by, method) }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::security::{Rule, Scope, rule};

    #[test]
    fn whatever_takes_the_scope_admin_is_audited_but_for_the_log_itself() {
        let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap();
        let services = set.file.iter().flat_map(|file| file.service.iter().map(move |s| (file.package(), s)));
        let paths: Vec<String> = services
            .flat_map(|(package, service)| {
                service.method.iter().map(move |m| format!("/{package}.{}/{}", service.name(), m.name()))
            })
            .collect();
        let admin = |path: &&String| rule(path) == Some(Rule::Needs(Scope::Admin));
        let missing: Vec<&str> =
            paths.iter().filter(admin).filter(|path| !is_audited(path)).map(|path| method(path)).collect();
        assert_eq!(missing, ["ListAuditEvents"]);
    }
}
