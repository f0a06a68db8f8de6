//! Plain HTTP beside gRPC, for operators: metrics, and whether the server is alive and ready.

use std::{io, net, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tally_store::Store;
use tokio::{net::TcpListener, time::timeout};

use crate::{
    histories::Histories,
    platform::{
        metrics::{self, MetricsRegistry},
        readiness::STORE_ANSWERS_WITHIN,
    },
};

/// What the HTTP handlers work with.
#[derive(Clone)]
pub(crate) struct HttpState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) histories: Histories,
    pub(crate) metrics: Arc<MetricsRegistry>,
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
        .with_state(state);
    axum::serve(TcpListener::from_std(listener.try_clone()?)?, router).await
}

async fn metrics(State(state): State<HttpState>) -> Response {
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
