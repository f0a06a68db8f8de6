//! The tower service around all gRPC services.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header::ALLOW};
use http_body::{Body as _, Frame, SizeHint};
use tally_proto::limits::METADATA_BYTES;
use tokio::{
    task::block_in_place,
    time::{Instant, Sleep, sleep_until, timeout_at},
};
use tonic::{Code, Status, body::Body, codec::SingleMessageCompressionOverride};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use super::{
    call_metrics::{CallMetrics, RunningCall},
    deadline::time_limit,
    metadata::metadata_bytes,
    request_id::{self, RequestId, RequestIds},
};
use crate::{
    grpc::status::{code_name, contract_status, metadata_too_large},
    platform::error::Error,
};

/// Puts [`Middleware`] around a service.
#[derive(Clone)]
pub(in crate::grpc) struct MiddlewareLayer(Arc<MiddlewareState>);

struct MiddlewareState {
    metrics: Arc<CallMetrics>,
    ids: RequestIds,
}

impl MiddlewareLayer {
    pub(in crate::grpc) fn new(metrics: CallMetrics) -> Self {
        Self(Arc::new(MiddlewareState { metrics: Arc::new(metrics), ids: RequestIds::new() }))
    }
}

impl<S> Layer<S> for MiddlewareLayer {
    type Service = Middleware<S>;

    fn layer(&self, inner: S) -> Middleware<S> {
        Middleware { inner, state: Arc::clone(&self.0) }
    }
}

/// Runs each call within its deadline and its span, counts it, refuses too much metadata, and answers a panic
/// with INTERNAL, where it would break the stream off. What is not a POST is no call, and is refused as HTTP does.
#[derive(Clone)]
pub(in crate::grpc) struct Middleware<S> {
    inner: S,
    state: Arc<MiddlewareState>,
}

impl<S> Service<Request<Body>> for Middleware<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if request.method() != Method::POST {
            return Box::pin(std::future::ready(Ok(method_not_allowed())));
        }
        let MiddlewareState { metrics, ids } = &*self.state;
        let method = metrics.method(request.uri().path());
        let limit = time_limit(request.headers(), method.server_streaming);
        let deadline = limit.map(|limit| Instant::now() + limit);
        let ends_response = deadline.filter(|_| method.server_streaming);
        let id = ids.of(request.headers());
        let span = tracing::info_span!("call", method = %method.name, request_id = %id);
        request.extensions_mut().insert(id.clone());
        let ending = CallEnding { call: metrics.start(method), id, span: span.clone() };
        let size = metadata_bytes(request.headers());
        let refused = match limit {
            _ if size > METADATA_BYTES => Some(metadata_too_large(size)),
            // Its caller does not wait: nothing of it may begin.
            Some(Duration::ZERO) => Some(Error::DeadlineExceeded.into()),
            _ => None,
        };
        if let Some(status) = refused {
            return Box::pin(std::future::ready(Ok(ending.observe(status.into_http(), None))));
        }
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let call = async move {
            let ended = match deadline {
                Some(deadline) => timeout_at(deadline, call).await,
                None => Ok(call.await),
            };
            let response = match ended {
                Ok(Ok(Ok(response))) => translate(response),
                Ok(Ok(Err(error))) => return Err(error),
                Ok(Err(_)) => Status::from(Error::Internal("a handler panicked".to_owned())).into_http(),
                Err(_) => Status::from(Error::DeadlineExceeded).into_http(),
            };
            Ok(ending.observe(response, ends_response))
        };
        Box::pin(call.instrument(span))
    }
}

/// The answer to a request by another method. tonic would run the call, even of a GET.
fn method_not_allowed() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// Replaces an error that is tonic's own.
fn translate(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()).and_then(|status| contract_status(&status)) {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// Whether tonic compresses the messages of a response while it is read.
fn is_compressed(response: &Response<Body>) -> bool {
    let disabled = response.extensions().get() == Some(&SingleMessageCompressionOverride::Disable);
    response.headers().contains_key("grpc-encoding") && !disabled
}

/// What is left to do when a call ends.
struct CallEnding {
    call: RunningCall,
    id: RequestId,
    span: Span,
}

impl CallEnding {
    /// Ends the call with its response: at once when that is an error as a whole, or else with its last
    /// trailers, or at the deadline of a stream. Errors carry the request id.
    fn observe(mut self, mut response: Response<Body>, deadline: Option<Instant>) -> Response<Body> {
        match Status::from_header_map(response.headers()) {
            Some(status) => {
                self.insert_id(response.headers_mut());
                self.end(status.code());
                response
            }
            None => {
                let compresses = is_compressed(&response);
                let deadline = deadline.map(|deadline| Box::pin(sleep_until(deadline)));
                response.map(|inner| Body::new(ObservedBody { inner, compresses, deadline, ending: self }))
            }
        }
    }

    /// Adds the request id to the headers or trailers of an error.
    fn insert_id(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::try_from(self.id.to_string()) {
            headers.insert(request_id::HEADER, id);
        }
    }

    fn end(&mut self, code: Code) {
        let code = code_name(code);
        if let Some(took) = self.call.end(code) {
            tracing::debug!(parent: &self.span, code, milliseconds = took.as_secs_f64() * 1e3, "call ended");
        }
    }
}

impl Drop for CallEnding {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// A response body that notices the end of its call.
struct ObservedBody {
    inner: Body,
    /// A large message takes tens of milliseconds to compress, for which other tasks leave this thread.
    compresses: bool,
    /// When the stream ends, complete or not.
    deadline: Option<Pin<Box<Sleep>>>,
    ending: CallEnding,
}

impl ObservedBody {
    /// Polls the response; behind the deadline, it is its end.
    fn poll_inner(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            self.deadline = None;
            // The sender of the stream notices that its reader is gone.
            self.inner = Body::empty();
            let mut trailers = HeaderMap::new();
            Status::from(Error::DeadlineExceeded).add_header(&mut trailers)?;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        match self.compresses {
            true => block_in_place(|| Pin::new(&mut self.inner).poll_frame(context)),
            false => Pin::new(&mut self.inner).poll_frame(context),
        }
    }
}

impl http_body::Body for ObservedBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let mut polled = self.poll_inner(context);
        let code = match &mut polled {
            Poll::Ready(Some(Ok(frame))) => frame.trailers_mut().and_then(|trailers| {
                let code = Status::from_header_map(trailers)?.code();
                if code != Code::Ok {
                    self.ending.insert_id(trailers);
                }
                Some(code)
            }),
            Poll::Ready(Some(Err(status))) => Some(status.code()),
            _ => None,
        };
        if let Some(code) = code {
            self.ending.end(code);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
