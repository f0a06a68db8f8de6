//! The registry of metrics, as `GET /metrics` shows it. Each room registers the metrics that it sets;
//! `docs/operations.md` lists them all.
//!
//! A registry belongs to an [`App`](crate::app::App), so that several servers of one process do not mix.
//! Labels are methods, codes, tasks, targets, models and features, never customers.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::gauge::Gauge,
    registry::{Metric, Registry},
};
use tally_model::spec::Target;

/// The content type of [`MetricsRegistry::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of real numbers.
pub type RealGauge = Gauge<f64, AtomicU64>;

/// The label of a metric that exists once a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TargetLabel {
    target: &'static str,
}

impl From<Target> for TargetLabel {
    fn from(target: Target) -> Self {
        Self { target: target.name() }
    }
}

/// The metrics of one server.
#[derive(Default)]
pub struct MetricsRegistry(Mutex<Registry>);

impl fmt::Debug for MetricsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl MetricsRegistry {
    /// Adds a metric, with its description.
    pub fn register<M: Clone + Default + Metric>(&self, name: &str, help: &str) -> M {
        let metric = M::default();
        self.registry().register(name, help, metric.clone());
        metric
    }

    /// Adds a metric that is made already.
    pub fn register_made(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry().register(name, help, metric);
    }

    /// Runs `set` while nobody reads the metrics, so that no reader meets half of them replaced.
    pub fn replace(&self, set: impl FnOnce()) {
        let _locked = self.registry();
        set();
    }

    /// All metrics, as OpenMetrics text.
    ///
    /// # Errors
    /// When a value cannot be written, which is a bug.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry())?;
        Ok(out)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
