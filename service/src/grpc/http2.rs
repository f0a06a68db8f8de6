//! HTTP/2 on the connections of clients.
//!
//! tonic's own server starts the tasks of calls where nobody can count them; here the [`Backlog`] does.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt};
use http::{Request, Response};
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::http2::{Builder, Connection},
    service::{HttpService, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::sleep;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::body::Body;
use tower::{Service, ServiceExt};

use super::{
    backlog::Backlog,
    connection::{CoalescingConnection, ConnectionInfo, GrpcStream},
};

/// The most streams that one connection may have open.
const STREAMS: u32 = 200;
/// How much of a request, and of all requests of a connection, a client may send before it is read, in bytes.
///
/// The HTTP/2 layer ends a connection on which so many small frames wait that what they take beside their bytes exceeds
/// half of the connection's window. A stream whose messages have one interaction each fills its window with such frames
/// while it is slowed down, so the window of a stream is small beside that of the connection.
const STREAM_WINDOW: u32 = 128 << 10;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// The largest headers that HTTP/2 reads, in bytes. The middleware refuses what is above the contract's limit, as one
/// call; were this the limit, the connection would end, and with it the calls of others.
const HEADER_BYTES: u32 = 1 << 20;

/// Serves calls on the connections that come in until `stopping` is cancelled; then asks clients to start no more calls
/// (GOAWAY), and returns when those in flight have ended. A connection of `max_age` is asked for that as well.
pub(super) async fn serve<S, C>(
    service: S,
    incoming: C,
    max_age: Option<Duration>,
    stopping: CancellationToken,
) where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    C: Stream<Item = io::Result<GrpcStream>>,
{
    let backlog = Arc::new(Backlog::default());
    let builder = builder(&backlog);
    let connections = TaskTracker::new();
    // In a scope of its own, at whose end the port is closed.
    {
        let mut incoming = pin!(incoming);
        while let Some(Some(stream)) = stopping.run_until_cancelled(incoming.next()).await {
            match stream {
                Ok(stream) => {
                    let info = ConnectionInfo::of(&stream);
                    let stream = CoalescingConnection::new(stream, backlog.connection());
                    let serving = builder.serve_connection(TokioIo::new(stream), calls(&service, info));
                    connections.spawn(until_it_ends(serving, max_age, stopping.clone()));
                }
                Err(error) => tracing::debug!(%error, "a connection has ended at once"),
            }
        }
    }
    connections.close();
    connections.wait().await;
}

fn builder(backlog: &Arc<Backlog>) -> Builder<CallExecutor> {
    let mut builder = Builder::new(CallExecutor(Arc::clone(backlog)));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder
}

/// Starts the task of each call, and counts it until then.
#[derive(Clone)]
struct CallExecutor(Arc<Backlog>);

impl<F> Executor<F> for CallExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, call: F) {
        let waiting = self.0.begin();
        tokio::spawn(async move {
            drop(waiting);
            call.await
        });
    }
}

/// The calls of a connection.
fn calls<S>(
    service: &S,
    info: ConnectionInfo,
) -> impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + use<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let service = service.clone();
    service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        service.clone().oneshot(request.map(Body::new))
    })
}

/// Serves a connection until it ends. Tells the client to start no more calls (GOAWAY) when the connection is old or the
/// server stops.
async fn until_it_ends<S>(
    serving: Connection<TokioIo<CoalescingConnection<GrpcStream>>, S, CallExecutor>,
    max_age: Option<Duration>,
    stopping: CancellationToken,
) where
    S: HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send + 'static>,
{
    let mut serving = pin!(serving);
    let ends = async {
        match max_age {
            Some(age) => drop(stopping.run_until_cancelled(sleep(age)).await),
            None => stopping.cancelled().await,
        }
    };
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = ends => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection has failed");
    }
}
