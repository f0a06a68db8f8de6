//! The server: a function of its listeners and of the signal that ends it.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use prometheus_client::metrics::gauge::Gauge;
use tally_proto::{
    limits,
    v1::{
        customer_service_server::CustomerServiceServer, deployment_service_server::DeploymentServiceServer,
        insight_service_server::InsightServiceServer, interaction_service_server::InteractionServiceServer,
        model_service_server::ModelServiceServer, prediction_service_server::PredictionServiceServer,
        scoring_service_server::ScoringServiceServer,
    },
};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codec::CompressionEncoding, service::Routes};
use tower::{Service, ServiceBuilder};

use super::{
    accept,
    customers::CustomerRpc,
    deployment::DeploymentRpc,
    http2,
    insight::InsightRpc,
    interactions::InteractionRpc,
    middleware::{AccessLayer, AuditLayer, CallMetrics, LoadSheddingLayer, MiddlewareLayer},
    models::ModelRpc,
    predictions::PredictionRpc,
    readiness::Readiness,
    scoring::ScoringRpc,
};
use crate::{
    catalog::ModelCatalog,
    platform::{metrics::MetricsRegistry, supervisor::Supervisor},
    security::{AuditLog, Protocol, Security, secure},
};

pub use super::middleware::Capacity;

/// How long calls in flight may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(15);
/// How long no call must have been in flight at shutdown, so that connections which are still open are not waited for:
/// a client may have called before it learned of the shutdown.
const QUIET: Duration = Duration::from_secs(1);
/// The background task that keeps the health service up to date.
const READINESS: &str = "readiness";

/// Compresses in the way that the caller accepts, of those that it names first. tonic refuses a message that is too
/// large after decompression before it has decompressed all of it.
///
/// Callers that set a compression for their channel use it for every service, so health and reflection know it as well.
macro_rules! compressible {
    ($server:expr) => {
        $server
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
            .send_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(limits::MESSAGE_BYTES)
    };
}

/// Why the server ended other than by its signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The reflection service could not be built, which is a bug.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The HTTP listener could not be used.
    #[error("the HTTP listener failed: {0}")]
    Http(#[from] std::io::Error),
}

/// The services that are served.
pub(crate) struct GrpcServices {
    pub(crate) customers: CustomerRpc,
    pub(crate) interactions: InteractionRpc,
    pub(crate) scoring: ScoringRpc,
    pub(crate) predictions: PredictionRpc,
    pub(crate) models: ModelRpc,
    pub(crate) insight: InsightRpc,
    pub(crate) deployment: DeploymentRpc,
    /// Decides whether scoring is ready.
    pub(crate) catalog: ModelCatalog,
    /// Counts the calls that are refused.
    pub(crate) audit: AuditLog,
    /// Counts the calls.
    pub(crate) metrics: Arc<MetricsRegistry>,
}

/// Where connections come from, and what they bring.
pub(crate) struct Connections {
    pub(crate) listener: TcpListener,
    /// How many there are at most.
    pub(crate) most: usize,
    /// What calls there are at most.
    pub(crate) capacity: Capacity,
    /// The age at which the server asks a client to start no more calls on a connection (GOAWAY) and closes it once the
    /// open calls end. The client then connects again, and a load balancer can choose a newer server.
    pub(crate) max_age: Option<Duration>,
    /// Encrypts connections and checks callers.
    pub(crate) security: Security,
}

/// Serves gRPC until `stopping` is cancelled; then lets calls in flight end.
///
/// # Errors
/// When the reflection service cannot be built.
pub(crate) async fn run(
    connections: Connections,
    services: GrpcServices,
    supervisor: &mut Supervisor,
    stopping: CancellationToken,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let health_service = compressible!(health_service);
    let readiness = Arc::new(Readiness::new(services.catalog.clone(), health));
    readiness.refresh().await;
    // A task of its own: a database that hangs must delay neither new connections nor the shutdown.
    let refreshed = Arc::clone(&readiness);
    supervisor.start(READINESS, move || {
        let readiness = Arc::clone(&refreshed);
        async move { readiness.run().await }
    });
    let calls = CallMetrics::new(&services.metrics);
    let in_flight = calls.in_flight();
    let Security { tls, access, .. } = connections.security;
    let incoming = accept::connections(connections.listener, connections.most, &services.metrics);
    let incoming = secure(incoming, tls, Protocol::Grpc);
    // Cancelled when NOT_SERVING has been reported, so that watches hear of it before they end.
    let reported = CancellationToken::new();
    let layers = Layers {
        calls: MiddlewareLayer::new(calls),
        access: AccessLayer::new(access, services.audit.clone()),
        audit: AuditLayer::new(services.audit.clone()),
        shedding: LoadSheddingLayer::new(connections.capacity, &services.metrics, reported.clone()),
    };
    let services = layers.around(routes(services)?.add_service(health_service).prepare());
    let mut server = pin!(http2::serve(services, incoming, connections.max_age, reported.clone()));
    let ended = stopping.run_until_cancelled(&mut server).await;
    supervisor.stop(READINESS).await;
    if ended.is_some() {
        return Ok(());
    }
    tracing::info!("stopping: no new calls, those in flight may end");
    readiness.report_shutdown().await;
    reported.cancel();
    let drained = async {
        tokio::select! {
            () = &mut server => {}
            () = quiet(&in_flight) => {}
        }
    };
    if timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("calls were still open after {DRAIN:?}; they are cut off");
    }
    Ok(())
}

/// Completes when no call has been in flight for a while.
async fn quiet(in_flight: &Gauge) {
    const LOOKS: u32 = 20;
    let mut quiet_looks = 0;
    while quiet_looks < LOOKS {
        sleep(QUIET / LOOKS).await;
        quiet_looks = if in_flight.get() == 0 { quiet_looks + 1 } else { 0 };
    }
}

/// What is around every call, from the outside in.
struct Layers {
    calls: MiddlewareLayer,
    access: AccessLayer,
    audit: AuditLayer,
    shedding: LoadSheddingLayer,
}

impl Layers {
    fn around(
        self,
        routes: Routes,
    ) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + use<>
    {
        let Self { calls, access, audit, shedding } = self;
        ServiceBuilder::new().layer(calls).layer(access).layer(audit).layer(shedding).service(routes)
    }
}

fn routes(services: GrpcServices) -> Result<Routes, tonic_reflection::server::Error> {
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tally_proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    macro_rules! service {
        ($server:ident, $rpc:expr) => {
            compressible!($server::new($rpc))
        };
    }
    Ok(Routes::default()
        .add_service(service!(CustomerServiceServer, services.customers))
        .add_service(service!(InteractionServiceServer, services.interactions))
        .add_service(service!(ScoringServiceServer, services.scoring))
        .add_service(service!(PredictionServiceServer, services.predictions))
        .add_service(service!(ModelServiceServer, services.models))
        .add_service(service!(InsightServiceServer, services.insight))
        .add_service(service!(DeploymentServiceServer, services.deployment))
        .add_service(compressible!(reflection().build_v1()?))
        .add_service(compressible!(reflection().build_v1alpha()?)))
}
