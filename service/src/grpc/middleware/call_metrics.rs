//! The metrics of calls: how many ended, by method and code, and how long they took.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
};
use prost::Message;
use prost_types::FileDescriptorSet;

use crate::platform::metrics::MetricsRegistry;

/// Upper ends of the buckets of call durations, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// The label of every method that is not ours: callers must not be able to make up labels.
const OTHER: &str = "other";
/// The code of a call that succeeded.
const OK: &str = "OK";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: String,
}

/// A method, with its metrics, which are looked up once instead of at every call.
pub(in crate::grpc) struct Method {
    pub(super) name: String,
    /// Whether the response is a stream; otherwise it is one message.
    pub(super) server_streaming: bool,
    succeeded: Counter,
    seconds: Histogram,
}

/// The metrics of the calls of one server.
pub(in crate::grpc) struct CallMetrics {
    /// By the path of their URLs.
    methods: HashMap<String, Arc<Method>>,
    /// Every other method, such as those of health and reflection.
    other: Arc<Method>,
    calls: Family<CallLabels, Counter>,
    in_flight: Gauge,
}

impl CallMetrics {
    /// Registers the metrics, with a counter and a histogram for each method of the contract.
    pub(in crate::grpc) fn new(metrics: &MetricsRegistry) -> Self {
        let seconds = Family::new_with_constructor((|| Histogram::new(SECONDS)) as fn() -> Histogram);
        let help = "How long calls took, to the end of their streams";
        metrics.register_made("tally_rpc_duration_seconds", help, seconds.clone());
        let calls: Family<CallLabels, Counter> =
            metrics.register("tally_rpc_calls", "Calls that ended, by method and gRPC code");
        let method = |name: String, server_streaming| {
            Arc::new(Method {
                server_streaming,
                succeeded: calls.get_or_create_owned(&CallLabels { method: name.clone(), code: OK }),
                seconds: seconds.get_or_create_owned(&MethodLabel { method: name.clone() }),
                name,
            })
        };
        Self {
            methods: methods()
                .into_iter()
                .map(|(name, streaming)| (format!("/{name}"), method(name, streaming)))
                .collect(),
            other: method(OTHER.to_owned(), true),
            calls,
            in_flight: metrics.register("tally_rpc_calls_in_flight", "Calls that have begun and not ended"),
        }
    }

    /// The number of calls that have not ended.
    pub(in crate::grpc) fn in_flight(&self) -> Gauge {
        self.in_flight.clone()
    }

    /// The method at this path of a URL.
    pub(super) fn method(&self, path: &str) -> &Arc<Method> {
        self.methods.get(path).unwrap_or(&self.other)
    }

    /// Begins to measure a call.
    pub(super) fn start(self: &Arc<Self>, method: &Arc<Method>) -> RunningCall {
        self.in_flight.inc();
        RunningCall {
            metrics: Arc::clone(self),
            method: Arc::clone(method),
            begun: Instant::now(),
            over: false,
        }
    }
}

/// The methods of our services, such as `tally.v1.ScoringService/PredictChurn`, and whether their responses are
/// streams.
fn methods() -> Vec<(String, bool)> {
    // The descriptor is part of this program and served by reflection; were it damaged, every call would
    // count as another one.
    let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap_or_default();
    let services =
        set.file.iter().flat_map(|file| file.service.iter().map(|service| (file.package(), service)));
    services
        .flat_map(|(package, service)| {
            service.method.iter().map(move |method| {
                (format!("{package}.{}/{}", service.name(), method.name()), method.server_streaming())
            })
        })
        .collect()
}

/// A call that has not ended. One that is dropped has been cancelled.
pub(super) struct RunningCall {
    metrics: Arc<CallMetrics>,
    method: Arc<Method>,
    begun: Instant,
    over: bool,
}

impl RunningCall {
    /// Counts the call as ended with this gRPC code and returns how long it took. Only the first end
    /// counts; later ones return None.
    pub(super) fn end(&mut self, code: &'static str) -> Option<Duration> {
        if std::mem::replace(&mut self.over, true) {
            return None;
        }
        self.metrics.in_flight.dec();
        let Method { name, succeeded, seconds, .. } = &*self.method;
        if code == OK {
            succeeded.inc();
        } else {
            self.metrics.calls.get_or_create(&CallLabels { method: name.clone(), code }).inc();
        }
        let took = self.begun.elapsed();
        seconds.observe(took.as_secs_f64());
        Some(took)
    }
}
