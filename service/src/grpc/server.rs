//! The server: a function of its listener and of the signal that ends it.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use tally_proto::v1::{
    customer_service_server::CustomerServiceServer, interaction_service_server::InteractionServiceServer,
    model_service_server::ModelServiceServer, prediction_service_server::PredictionServiceServer,
    scoring_service_server::ScoringServiceServer,
};
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::JoinSet,
    time::{MissedTickBehavior, timeout},
};
use tonic::{
    server::NamedService,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    app::App,
    grpc::{
        connection::Connection, customers::Customers, interactions::Interactions, middleware::EdgeLayer,
        models::Models, predictions::Predictions, scoring::Scoring,
    },
    http::{self, ANSWER},
    monitoring::watch,
};
use tally_proto::limits;

/// How often the store is asked for new champions: well within the promised 5 seconds.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Calls in flight get so long to end once we are told to stop; a silent connection would hold a
/// graceful shutdown for ever.
const DRAIN: Duration = Duration::from_secs(15);
/// Streams that one connection may have open.
const STREAMS: u32 = 200;

/// Why the server ended other than by its signal.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The reflection service could not be built, which is a bug.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves gRPC on `listener`, and metrics on `http` when there is one, until `shutdown` completes; then
/// lets calls in flight end.
///
/// # Errors
/// When the transport fails.
pub async fn run(
    listener: TcpListener,
    http: Option<TcpListener>,
    app: Arc<App>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let mut readiness = Readiness::new(Arc::clone(&app), health.clone());
    readiness.look().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let server = router(&app)?.add_service(health_service).serve_with_incoming_shutdown(
        TcpIncoming::from(listener).with_nodelay(Some(true)).map_ok(Connection::from),
        async {
            // Stopping and losing the sender mean the same.
            let _ = stopped.await;
        },
    );
    tokio::pin!(server);
    // In a task of its own: a database that hangs must hold up neither new connections nor the end.
    let mut aside = JoinSet::new();
    let watching = aside.spawn(readiness.watch());
    aside.spawn(watch::run(Arc::clone(&app)));
    aside.spawn(app.histories.clone().watch());
    if let Some(http) = http {
        aside.spawn(async move {
            if let Err(error) = http::run(http, app).await {
                tracing::error!(%error, "the HTTP listener failed");
            }
        });
    }
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = shutdown => None,
    };
    watching.abort();
    if let Some(ended) = ended {
        return Ok(ended?);
    }
    tracing::info!("stopping: no new calls, those in flight may end");
    for name in names() {
        health.set_service_status(name, ServingStatus::NotServing).await;
    }
    let _ = stop.send(());
    match timeout(DRAIN, server).await {
        Ok(ended) => ended?,
        Err(_) => tracing::warn!("calls were still open after {DRAIN:?}; they are cut off"),
    }
    Ok(())
}

fn router(
    app: &Arc<App>,
) -> Result<
    tonic::transport::server::Router<tower::layer::util::Stack<EdgeLayer, tower::layer::util::Identity>>,
    tonic_reflection::server::Error,
> {
    let described = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(tally_proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    macro_rules! service {
        ($server:ident, $rooms:ident) => {
            $server::new($rooms(Arc::clone(app))).max_decoding_message_size(limits::MESSAGE_BYTES)
        };
    }
    // tonic passes "none" over hyper's safe defaults, so they are said again.
    Ok(Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_max_local_error_reset_streams(Some(1_024))
        .http2_max_header_list_size(16 << 10)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .layer(EdgeLayer(Arc::clone(&app.metrics)))
        .add_service(service!(CustomerServiceServer, Customers))
        .add_service(service!(InteractionServiceServer, Interactions))
        .add_service(service!(ScoringServiceServer, Scoring))
        .add_service(service!(PredictionServiceServer, Predictions))
        .add_service(service!(ModelServiceServer, Models))
        .add_service(described().build_v1()?)
        .add_service(described().build_v1alpha()?))
}

/// The names that health knows: one a service, and "" for the whole.
fn names() -> [&'static str; 6] {
    [
        "",
        CustomerServiceServer::<Customers>::NAME,
        InteractionServiceServer::<Interactions>::NAME,
        PredictionServiceServer::<Predictions>::NAME,
        ModelServiceServer::<Models>::NAME,
        ScoringServiceServer::<Scoring>::NAME,
    ]
}

/// Says what is ready: all while the store answers, scoring only with a champion.
struct Readiness {
    app: Arc<App>,
    health: HealthReporter,
    /// What was said last (store, scoring): those who watch are told of changes only.
    said: Option<(bool, bool)>,
}

impl Readiness {
    const fn new(app: Arc<App>, health: HealthReporter) -> Self {
        Self { app, health, said: None }
    }

    /// Looks again and again.
    async fn watch(mut self) {
        let mut ticks = tokio::time::interval(REFRESH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Looks for new champions, which also tells whether the store answers.
    async fn look(&mut self) {
        let store = match timeout(ANSWER, self.app.models.refresh()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                false
            }
            Err(_) => {
                tracing::warn!("the store does not answer within {ANSWER:?}");
                false
            }
        };
        self.say(store, store && self.app.models.any_champion()).await;
    }

    async fn say(&mut self, store: bool, scoring: bool) {
        if self.said.replace((store, scoring)) == Some((store, scoring)) {
            return;
        }
        for name in names() {
            let ready = if name == ScoringServiceServer::<Scoring>::NAME { scoring } else { store };
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.health.set_service_status(name, status).await;
        }
    }
}
