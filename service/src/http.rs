//! What is served over plain HTTP: metrics, and whether the server is alive and ready.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::{net::TcpListener, time::timeout};

use crate::{app::App, platform::metrics};

/// A store that takes longer than this to answer is not ready.
pub const ANSWER: Duration = Duration::from_secs(2);

/// Serves `/metrics`, `/healthz` and `/readyz` until it is dropped.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, app: Arc<App>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready))
        .with_state(app);
    axum::serve(listener, router).await
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    let (customers, bytes) = app.histories.size();
    app.metrics.show_warm(customers, bytes);
    match app.metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Ready while the store answers; whether a model serves is told by the gRPC health service.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match timeout(ANSWER, app.store.ping()).await {
        Ok(Ok(())) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response(),
    }
}
