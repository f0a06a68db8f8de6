//! The edge: what tonic itself answers, turned into the contract's words. A request that cannot be
//! decoded is the client's mistake, one that is too large names the limit, one that is late is
//! DEADLINE_EXCEEDED, and a panic ends its own call as INTERNAL instead of breaking off the stream.
//! Every call is counted here, too, when it ends.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::{
    platform::error::{Error, too_large},
    platform::metrics::{Metrics, RunningCall},
};
use tally_proto::limits;

/// Puts [`Edge`] around a service.
#[derive(Clone)]
pub struct EdgeLayer(pub Arc<Metrics>);

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge { inner, metrics: Arc::clone(&self.0) }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Edge<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> Service<Request<Body>> for Edge<S>
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

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = deadline(request.headers());
        let running = self.metrics.call(request.uri().path());
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        Box::pin(async move {
            let ended = match deadline {
                Some(deadline) => timeout(deadline, call).await,
                None => Ok(call.await),
            };
            let response = match ended {
                Ok(Ok(Ok(response))) => translate(response),
                Ok(Ok(Err(error))) => return Err(error),
                Ok(Err(_)) => Status::from(Error::Internal("a handler panicked".to_owned())).into_http(),
                Err(_) => Status::from(Error::DeadlineExceeded).into_http(),
            };
            Ok(observe(response, running))
        })
    }
}

/// How long the caller waits, by its `grpc-timeout` (up to eight digits and a unit), less a moment:
/// when the time is over, tonic's own answer would be CANCELLED. One that cannot be read is none.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    let wanted = match unit {
        "H" => Duration::from_secs(value * 3_600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    Some(wanted.saturating_sub(Duration::from_millis(2)))
}

/// Replaces a whole-response error of tonic by ours.
fn translate(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()).and_then(|status| contract_status(&status)) {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// What the contract says instead of a status that tonic made before any of our code ran.
pub(super) fn contract_status(status: &Status) -> Option<Status> {
    if !status.details().is_empty() {
        return None;
    }
    match status.code() {
        Code::OutOfRange => Some(too_large(limits::MESSAGE_BYTES)),
        Code::Internal if status.message().starts_with("failed to decode") => {
            Some(Error::invalid("message", "is not a valid encoding of this RPC's request").into())
        }
        _ => None,
    }
}

/// Lets the call end with its response: at once when that is an error as a whole, or else with its last
/// trailers.
fn observe(response: Response<Body>, mut running: RunningCall) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) => {
            running.end(code_name(status.code()));
            response
        }
        None => response.map(|inner| Body::new(Observed { inner, running })),
    }
}

/// A body that tells how its call ended.
struct Observed {
    inner: Body,
    running: RunningCall,
}

impl http_body::Body for Observed {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let code = match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                frame.trailers_ref().and_then(Status::from_header_map).map(|status| status.code())
            }
            Poll::Ready(Some(Err(status))) => Some(status.code()),
            _ => None,
        };
        if let Some(code) = code {
            self.running.end(code_name(code));
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

/// The name of a code in the contract.
const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
