//! Security: who may call, and encrypted connections.
//!
//! It is called by the transports only, and knows none of them: use cases get a [`Caller`] at most.

mod access;
mod audit;
mod caller;
mod certificate;
mod connections;
mod failures;
mod jwt;
mod refusal;
mod reload;
mod scope;
mod tls;
mod tokens;

use std::{sync::Arc, time::Duration};

use prometheus_client::metrics::counter::Counter;
use tokio::time::{MissedTickBehavior, interval};

pub use access::{Access, Credentials};
pub use audit::{AuditLog, is_audited};
pub use caller::Caller;
pub use certificate::PeerCertificate;
pub use connections::{SecuredStream, secure};
pub use jwt::{JwtSettings, KeySet};
pub use refusal::Refusal;
pub use reload::{Reloadable, SettingsFile};
pub use scope::{Rule, Scope, Scopes, known_path, rule};
pub use tls::{Protocol, Tls, TlsFiles};
pub use tokens::TokenFile;

use crate::platform::{blocking::run_blocking, clock::TimeSource, error::Result, metrics::MetricsRegistry};
use reload::Reload;

/// How often the files are looked at.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// What secures a server; by default nothing does. Clones share it.
#[derive(Clone, Default)]
pub struct Security {
    /// Encrypts connections.
    pub tls: Option<Arc<Reloadable<Tls>>>,
    /// Checks callers.
    pub access: Option<Arc<Access>>,
    files: Vec<Arc<dyn Reload>>,
}

impl Security {
    /// The security that these files define. Callers are checked when there are tokens or keys.
    #[must_use]
    pub fn new(
        tls: Option<Reloadable<Tls>>,
        tokens: Option<Reloadable<TokenFile>>,
        keys: Option<Reloadable<KeySet>>,
        time: TimeSource,
    ) -> Self {
        let (tls, tokens, keys) = (tls.map(Arc::new), tokens.map(Arc::new), keys.map(Arc::new));
        let mut files: Vec<Arc<dyn Reload>> = Vec::new();
        files.extend(tls.iter().map(|file| Arc::clone(file) as _));
        files.extend(tokens.iter().map(|file| Arc::clone(file) as _));
        files.extend(keys.iter().map(|file| Arc::clone(file) as _));
        let checks = tokens.is_some() || keys.is_some();
        let access = checks.then(|| Arc::new(Access::new(tokens, keys, tls.clone(), time)));
        Self { tls, access, files }
    }

    /// Whether it has files to follow.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    /// Reads the files once. Returns the flags of those with new content, or why that is refused.
    pub(crate) fn poll_files(&self) -> Vec<Result<String>> {
        let poll = |file: &Arc<dyn Reload>| Some(file.poll()?.map(|()| file.flags()));
        self.files.iter().filter_map(poll).collect()
    }

    /// Reads the files again whenever they change, until it is cancelled. Of a bad file the last good content counts.
    pub async fn follow(self, failures: ReloadFailures, audit: AuditLog) {
        let mut ticks = interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let security = self.clone();
            let polled = run_blocking(move || security.poll_files()).await;
            for taken in polled.unwrap_or_else(|error| vec![Err(error)]) {
                audit.note_reload(&taken).await;
                match taken {
                    Ok(flags) => tracing::info!("read again: {flags}"),
                    Err(error) => {
                        failures.0.inc();
                        tracing::error!(%error, "a file could not be read again; what it said before still counts");
                    }
                }
            }
        }
    }
}

/// Counts files that could not be read again.
#[derive(Clone)]
pub struct ReloadFailures(Counter);

impl ReloadFailures {
    /// Registers the counter.
    #[must_use]
    pub fn new(metrics: &MetricsRegistry) -> Self {
        let help = "Changes of the files of tokens, keys and certificates that were refused";
        Self(metrics.register("tally_security_reload_failures", help))
    }
}
