//! Plain HTTP beside gRPC, for operators: metrics, and whether the server is alive and ready.

use std::{
    io,
    net::{self, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, State, connect_info::Connected},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
    routing::get,
    serve::{IncomingStream, Listener},
};
use futures_util::{Stream, StreamExt, stream};
use tally_store::Store;
use tokio::{
    net::{TcpListener, TcpStream},
    time::timeout,
};

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

/// What the HTTP handlers work with.
#[derive(Clone)]
pub(crate) struct HttpState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) histories: Histories,
    pub(crate) metrics: Arc<MetricsRegistry>,
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
    let listener = SecuredListener::new(TcpListener::from_std(listener.try_clone()?)?, &state.security)?;
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(state);
    axum::serve(listener, router.into_make_service_with_connect_info::<Peer>()).await
}

/// Accepts connections, encrypted where TLS is on.
struct SecuredListener {
    incoming: Pin<Box<dyn Stream<Item = io::Result<SecuredStream<TcpStream>>> + Send>>,
    address: SocketAddr,
}

impl SecuredListener {
    fn new(listener: TcpListener, security: &Security) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let incoming = stream::unfold(listener, async |mut listener| {
            let (stream, _) = Listener::accept(&mut listener).await;
            Some((Ok(stream), listener))
        });
        let incoming = Box::pin(secure(incoming, security.tls.clone(), Protocol::Http));
        Ok(Self { incoming, address })
    }
}

impl Listener for SecuredListener {
    type Io = SecuredStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            // A client that is gone already has no address.
            if let Some(Ok(stream)) = self.incoming.next().await
                && let Ok(address) = stream.get_ref().peer_addr()
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// The certificate that the client of a connection has shown.
#[derive(Clone)]
struct Peer(Option<Arc<PeerCertificate>>);

impl Connected<IncomingStream<'_, SecuredListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, SecuredListener>) -> Self {
        Self(stream.io().certificate())
    }
}

/// The refusal of a caller that may not read, None for one that may.
fn refusal(security: &Security, headers: &HeaderMap, Peer(certificate): Peer) -> Option<Response> {
    let values = headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
    let credentials = Credentials::new(values, certificate);
    let refusal: Refusal = security.access.as_ref()?.check(Rule::Needs(Scope::Read), &credentials).err()?;
    let text = format!("{refusal}\n");
    Some(match refusal.is_of_known_caller() {
        true => (StatusCode::FORBIDDEN, text).into_response(),
        false => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], text).into_response(),
    })
}

async fn metrics(
    State(state): State<HttpState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
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

/// Ready while the store answers; the gRPC health service reports whether a model serves.
async fn ready(State(state): State<HttpState>) -> Response {
    match timeout(STORE_ANSWERS_WITHIN, state.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
