//! Plain HTTP beside gRPC, for operators: metrics, and whether the server is alive and ready.

use std::{
    io,
    net::{self, IpAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{StreamExt, stream};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tally_store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    histories::Histories,
    platform::{
        metrics::{self, MetricsRegistry},
        readiness::STORE_ANSWERS_WITHIN,
    },
    security::{
        Credentials, PeerCertificate, Protocol, Refusal, Rule, Scope, SecuredStream, Security, secure,
    },
};

/// How long a client may take to send the head of a request, and may be idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection lasts at most. Scrapers connect again by themselves.
const CONNECTION_LASTS: Duration = Duration::from_secs(300);
/// Connections at a time; others wait.
const CONNECTIONS: usize = 64;
/// How long no connection is accepted after the system could not give one.
const PAUSE: Duration = Duration::from_millis(100);

/// What the HTTP handlers work with.
#[derive(Clone)]
pub(crate) struct HttpState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) histories: Histories,
    pub(crate) metrics: Arc<MetricsRegistry>,
    /// Cancelled when the server stops.
    pub(crate) stopping: CancellationToken,
    pub(crate) security: Security,
}

/// Serves `/metrics`, `/healthz` and `/readyz` until it is cancelled. The listener stays open, so that the
/// server can be started again.
pub(crate) async fn run(listener: Arc<net::TcpListener>, state: HttpState) {
    if let Err(error) = serve(&listener, state).await {
        tracing::error!(%error, "the HTTP listener failed");
    }
}

async fn serve(listener: &net::TcpListener, state: HttpState) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(state.clone());
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accepted = stream::unfold(TcpListener::from_std(listener.try_clone()?)?, async |listener| {
        Some((Ok(accept(&listener).await), listener))
    });
    let mut incoming = Box::pin(secure(accepted, state.security.tls.clone(), Protocol::Http));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let Some(Ok(stream)) = incoming.next().await else { continue };
        let served = serve_connection(stream, &router);
        tokio::spawn(async move {
            // It ends with an error when its client does not keep to HTTP, or is too slow.
            let _ = timeout(CONNECTION_LASTS, served).await;
            drop(place);
        });
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

fn serve_connection(
    stream: SecuredStream<TcpStream>,
    router: &Router,
) -> impl Future<Output = hyper::Result<()>> + use<> {
    let router = router.clone().layer(Extension(Peer {
        address: stream.get_ref().peer_addr().ok().map(|address| address.ip()),
        certificate: stream.certificate(),
    }));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// The client of a connection, and the certificate that it has shown.
#[derive(Clone)]
struct Peer {
    address: Option<IpAddr>,
    certificate: Option<Arc<PeerCertificate>>,
}

/// The refusal of a caller that may not read, None for one that may.
fn refusal(
    security: &Security,
    headers: &HeaderMap,
    Peer { address, certificate }: Peer,
) -> Option<Response> {
    let values = headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let credentials = Credentials::new(values, certificate);
    let refusal: Refusal =
        security.access.as_ref()?.admit(Rule::Needs(Scope::Read), &credentials, address).err()?;
    let text = format!("{refusal}\n");
    Some(match refusal {
        Refusal::TooManyFailures { wait } => {
            let seconds = wait.as_secs_f64().ceil().to_string();
            (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)], text).into_response()
        }
        _ if refusal.is_of_known_caller() => (StatusCode::FORBIDDEN, text).into_response(),
        _ => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], text).into_response(),
    })
}

async fn metrics(
    State(state): State<HttpState>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = refusal(&state.security, &headers, peer) {
        return refused;
    }
    state.histories.update_gauges();
    match state.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Ready while the store answers, until the server stops; the gRPC health service reports whether a model serves.
async fn ready(State(state): State<HttpState>) -> Response {
    if state.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping\n").into_response();
    }
    match timeout(STORE_ANSWERS_WITHIN, state.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
