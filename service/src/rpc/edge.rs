//! The edge: what tonic itself answers, turned into the contract's words. A request that cannot be
//! decoded is the client's mistake, one that is too large names the limit, one that is late is
//! DEADLINE_EXCEEDED, and a panic ends its own call as INTERNAL instead of breaking off the stream.

use std::{
    panic::AssertUnwindSafe,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, Request, Response};
use tokio::time::timeout;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use crate::{
    error::{Error, too_large},
    limits,
};

/// Puts [`Edge`] around a service.
#[derive(Clone, Copy)]
pub struct EdgeLayer;

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge(inner)
    }
}

/// See the module.
#[derive(Clone)]
pub struct Edge<S>(S);

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
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = deadline(request.headers());
        let call = AssertUnwindSafe(self.0.call(request)).catch_unwind();
        Box::pin(async move {
            let ended = match deadline {
                Some(deadline) => timeout(deadline, call).await,
                None => Ok(call.await),
            };
            match ended {
                Ok(Ok(Ok(response))) => Ok(translate(response)),
                Ok(Ok(Err(error))) => Err(error),
                Ok(Err(_)) => Ok(Status::from(Error::Internal("a handler panicked".to_owned())).into_http()),
                Err(_) => Ok(Status::from(Error::DeadlineExceeded).into_http()),
            }
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
