//! Load shedding: what a server has no room for is refused at once, before anything of it is decoded, so that the rest
//! is answered as fast as always.
//!
//! A call needs two things: a turn, of which there are so many in each [`Class`], and memory, of which all calls
//! together have a budget. A call that finds neither is refused with RESOURCE_EXHAUSTED and the time after which to try
//! again. Health and reflection need neither.

mod class;
mod gate;
mod memory;
mod message;
mod quota;
mod response;
mod shedder;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::platform::metrics::MetricsRegistry;
use message::Messages;
use shedder::{LoadShedder, ending, ending_at_stop};

pub(in crate::grpc) use memory::Reservation;
pub use shedder::Capacity;

/// The path of the health service's stream, which goes on for ever.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Puts [`LoadShedding`] around a service.
#[derive(Clone)]
pub(in crate::grpc) struct LoadSheddingLayer(Arc<LoadShedder>);

impl LoadSheddingLayer {
    /// Sheds load beyond `capacity`, and ends idle streams when the server stops.
    pub(in crate::grpc) fn new(
        capacity: Capacity,
        metrics: &MetricsRegistry,
        stopping: CancellationToken,
    ) -> Self {
        Self(Arc::new(LoadShedder::new(capacity, metrics, stopping)))
    }
}

impl<S> Layer<S> for LoadSheddingLayer {
    type Service = LoadShedding<S>;

    fn layer(&self, inner: S) -> LoadShedding<S> {
        LoadShedding { inner, shedder: Arc::clone(&self.0) }
    }
}

/// Lets in the calls for which there is room.
#[derive(Clone)]
pub(in crate::grpc) struct LoadShedding<S> {
    inner: S,
    shedder: Arc<LoadShedder>,
}

impl<S> Service<Request<Body>> for LoadShedding<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(method) = self.shedder.methods.get(request.uri().path()).copied() else {
            return self.call_foreign(request);
        };
        if let Err(refusal) = self.shedder.admit(method, &request) {
            return Box::pin(std::future::ready(Ok(refusal.into_http())));
        }
        // The service that is ready is the one that is called.
        let next = self.inner.clone();
        let (mut inner, shedder) = (std::mem::replace(&mut self.inner, next), Arc::clone(&self.shedder));
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let messages = Messages::new(body, &parts.headers);
            let read = match method.client_streaming {
                true => shedder.read_stream(method, messages).await,
                false => shedder.read_message(method, messages, &mut parts).await,
            };
            let (body, mut held) = match read {
                Ok(read) => read,
                Err(refusal) => return Ok(refusal.into_http()),
            };
            let response = inner.call(Request::from_parts(parts, body)).await?;
            if !method.server_streaming {
                // Its work is done; the memory is free when the response has been sent.
                held.turn = None;
            }
            Ok(response.map(|body| LoadShedder::hold(method, body, held)))
        })
    }
}

impl<S> LoadShedding<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    /// Calls a method of the health or reflection service, or one that does not exist.
    fn call_foreign(
        &mut self,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, Infallible>> {
        let stopping = self.shedder.stopping.clone();
        let is_watch = request.uri().path() == HEALTH_WATCH;
        let request =
            if is_watch { request } else { request.map(|body| ending_at_stop(body, stopping.clone())) };
        let response = self.inner.call(request);
        if !is_watch {
            return Box::pin(response);
        }
        Box::pin(
            response.map(|response| response.map(|response| response.map(|body| ending(body, stopping)))),
        )
    }
}
