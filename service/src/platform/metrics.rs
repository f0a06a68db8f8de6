//! All metrics, in one place: what `GET /metrics` tells an operator. `docs/operations.md` says what to
//! make of them.
//!
//! The registry belongs to an [`crate::app::App`], so that several servers of one process do not mix.
//! Labels are methods, codes, targets, models and features, never customers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Instant,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use prost::Message;
use prost_types::FileDescriptorSet;
use tally_model::{spec::Target, time::Time};

use crate::{
    catalog::models::ModelName,
    monitoring::watch::{Drift, MonthlyPerformance},
};

/// What [`Metrics::text`] is, for `Content-Type`.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the buckets of call durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Stands for every method that is not ours: callers must not be able to make up labels.
const OTHER: &str = "other";
/// The code of a call that ended well.
const FINE: &str = "OK";

/// A gauge of real numbers.
type Real = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Call {
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMethod {
    method: String,
}

/// What is counted of a method. Its metrics are looked up once, not at every call.
struct Method {
    name: String,
    /// The calls that end well.
    fine: Counter,
    seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfTarget {
    target: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfModel {
    target: &'static str,
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFeature {
    target: &'static str,
    model: String,
    feature: String,
}

impl OfTarget {
    const fn new(target: Target) -> Self {
        Self { target: target.name() }
    }
}

impl OfModel {
    fn new(model: ModelName) -> Self {
        Self { target: model.target.name(), model: model.to_string() }
    }
}

/// The metrics of one server.
pub struct Metrics {
    /// Locked while it is read, and while gauges are replaced: a reader never meets half of them.
    registry: Mutex<Registry>,
    /// By the path of their URLs.
    methods: HashMap<String, Arc<Method>>,
    /// Any other.
    other: Arc<Method>,
    calls: Family<Call, Counter>,
    /// Histories that were found in memory.
    pub warm_hits: Counter,
    /// Histories that were not.
    pub warm_misses: Counter,
    warm_customers: Gauge,
    warm_bytes: Gauge,
    champion: Family<OfTarget, Gauge>,
    refused: Family<OfTarget, Counter>,
    population_customers: Family<OfModel, Gauge>,
    population_as_of: Family<OfModel, Real>,
    score_psi: Family<OfModel, Real>,
    feature_psi: Family<OfFeature, Real>,
    realised_rows: Family<OfModel, Gauge>,
    realised_auc: Family<OfModel, Real>,
    realised_log_loss: Family<OfModel, Real>,
    realised_ece: Family<OfModel, Real>,
    realised_lift: Family<OfModel, Real>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let help = "How long calls took, to the end of their streams";
        registry.register("tally_rpc_duration_seconds", help, seconds.clone());
        let calls: Family<Call, Counter> =
            register(&mut registry, "tally_rpc_calls", "Calls that ended, by method and gRPC code");
        let method = |name: &str| {
            let method = || name.to_owned();
            Arc::new(Method {
                name: method(),
                fine: calls.get_or_create_owned(&Call { method: method(), code: FINE }),
                seconds: seconds.get_or_create_owned(&OfMethod { method: method() }),
            })
        };
        let metrics = Self {
            methods: methods().into_iter().map(|name| (format!("/{name}"), method(&name))).collect(),
            other: method(OTHER),
            calls,
            warm_hits: register(&mut registry, "tally_warm_hits", "Histories that were found in memory"),
            warm_misses: register(&mut registry, "tally_warm_misses", "Histories that had to be read"),
            warm_customers: register(&mut registry, "tally_warm_customers", "Histories in memory"),
            warm_bytes: register(&mut registry, "tally_warm_bytes", "What they take there, about"),
            champion: register(&mut registry, "tally_champion_version", "The version that serves here"),
            refused: register(
                &mut registry,
                "tally_model_refused",
                "Promoted models that could not be read, so that the one before serves on; once a version",
            ),
            population_customers: register(
                &mut registry,
                "tally_population_customers",
                "Customers of the last population that the champion has scored",
            ),
            population_as_of: register(
                &mut registry,
                "tally_population_as_of_seconds",
                "The moment that the last scored population is about, since 1970",
            ),
            score_psi: register(
                &mut registry,
                "tally_drift_score_psi",
                "PSI of the champion's probability between training and the last scored population",
            ),
            feature_psi: register(
                &mut registry,
                "tally_drift_feature_psi",
                "PSI of a feature of the champion between training and the last scored population",
            ),
            realised_rows: register(
                &mut registry,
                "tally_realised_rows",
                "Customers judged of the last whole month whose horizon has passed; one set a model",
            ),
            realised_auc: register(&mut registry, "tally_realised_auc", "AUC against what happened"),
            realised_log_loss: register(
                &mut registry,
                "tally_realised_log_loss",
                "Mean negative log-likelihood of what happened",
            ),
            realised_ece: register(
                &mut registry,
                "tally_realised_ece",
                "Expected calibration error against what happened",
            ),
            realised_lift: register(
                &mut registry,
                "tally_realised_lift_at_10_percent",
                "How many times likelier than average the likeliest tenth had the outcome",
            ),
            registry: Mutex::new(registry),
        };
        // A counter that is there from the start can be alarmed on when it rises.
        for target in Target::ALL {
            drop(metrics.refused.get_or_create(&OfTarget::new(target)));
        }
        metrics
    }

    /// All of them, as OpenMetrics text.
    ///
    /// # Errors
    /// When a value cannot be written, which is a bug.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(out)
    }

    /// A call has begun, to this path of the URL.
    #[must_use]
    pub fn call(self: &Arc<Self>, path: &str) -> RunningCall {
        let method = Arc::clone(self.methods.get(path).unwrap_or(&self.other));
        RunningCall { metrics: Arc::clone(self), method, begun: Instant::now(), over: false }
    }

    /// So many histories, of so many bytes, are in memory.
    pub fn show_warm(&self, customers: usize, bytes: u64) {
        self.warm_customers.set(customers as i64);
        self.warm_bytes.set(bytes as i64);
    }

    /// Another version serves now.
    pub fn champion(&self, model: ModelName) {
        self.champion.get_or_create(&OfTarget::new(model.target)).set(model.version);
    }

    /// A promoted model cannot be read.
    pub fn refused(&self, target: Target) {
        self.refused.get_or_create(&OfTarget::new(target)).inc();
    }

    /// Shows these drifts and no others.
    pub fn show_drift(&self, drifts: &[Drift]) {
        let _whole = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.population_customers.clear();
        self.population_as_of.clear();
        self.score_psi.clear();
        self.feature_psi.clear();
        for drift in drifts {
            let model = OfModel::new(drift.model);
            let population = &drift.population;
            self.population_customers.get_or_create(&model).set(population.counts.customers as i64);
            self.population_as_of.get_or_create(&model).set(seconds_of(population.as_of));
            self.score_psi.get_or_create(&model).set(drift.report.score.psi);
            for (feature, shift) in &drift.report.features {
                let OfModel { target, model } = model.clone();
                let labels = OfFeature { target, model, feature: feature.clone() };
                self.feature_psi.get_or_create(&labels).set(shift.psi);
            }
        }
    }

    /// Shows these months and no others.
    pub fn show_realised(&self, months: &[MonthlyPerformance]) {
        let _whole = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.realised_rows.clear();
        for family in [&self.realised_auc, &self.realised_log_loss, &self.realised_ece, &self.realised_lift] {
            family.clear();
        }
        for month in months {
            let model = OfModel::new(month.model);
            self.realised_rows.get_or_create(&model).set(month.rows as i64);
            self.realised_log_loss.get_or_create(&model).set(month.log_loss);
            self.realised_ece.get_or_create(&model).set(month.ece);
            if let Some(auc) = month.auc {
                self.realised_auc.get_or_create(&model).set(auc);
            }
            if let Some(lift) = month.lift_at_10_percent {
                self.realised_lift.get_or_create(&model).set(lift);
            }
        }
    }
}

fn register<M: Clone + Default + prometheus_client::registry::Metric>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn seconds_of(time: Time) -> f64 {
    time.0 as f64 / 1e6
}

/// The methods of our services, such as `tally.v1.ScoringService/PredictChurn`.
fn methods() -> Vec<String> {
    // The descriptor is part of this program, and served by reflection; were it damaged, every call
    // would count as another one.
    let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap_or_default();
    let services =
        set.file.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
    services
        .flat_map(|(package, service)| {
            service.method.iter().map(move |m| format!("{package}.{}/{}", service.name(), m.name()))
        })
        .collect()
}

/// A call that has not ended. One that is dropped has been cancelled.
pub struct RunningCall {
    metrics: Arc<Metrics>,
    method: Arc<Method>,
    begun: Instant,
    over: bool,
}

impl RunningCall {
    /// The call has ended with this gRPC code. Only the first end counts.
    pub fn end(&mut self, code: &'static str) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let Method { name, fine, seconds } = &*self.method;
        if code == FINE {
            fine.inc();
        } else {
            self.metrics.calls.get_or_create(&Call { method: name.clone(), code }).inc();
        }
        seconds.observe(self.begun.elapsed().as_secs_f64());
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        self.end("CANCELLED");
    }
}
