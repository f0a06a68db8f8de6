//! The count of failed calls of those RPCs whose success is noted in the audit log.

use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, Either};
use http::{Request, Response};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    grpc::{caller::caller_name, status::code_name},
    security::{AuditLog, is_audited, known_path},
};

/// Puts [`AuditedService`] around a service.
#[derive(Clone)]
pub(in crate::grpc) struct AuditLayer(AuditLog);

impl AuditLayer {
    /// Counts in this log.
    pub(in crate::grpc) const fn new(audit: AuditLog) -> Self {
        Self(audit)
    }
}

impl<S> Layer<S> for AuditLayer {
    type Service = AuditedService<S>;

    fn layer(&self, inner: S) -> AuditedService<S> {
        AuditedService { inner, audit: self.0.clone() }
    }
}

/// Counts the calls of audited RPCs that end with an error before they have answered.
#[derive(Clone)]
pub(in crate::grpc) struct AuditedService<S> {
    inner: S,
    audit: AuditLog,
}

impl<S> Service<Request<Body>> for AuditedService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = known_path(request.uri().path()).filter(|path| is_audited(path));
        let Some(path) = path else { return Either::Left(self.inner.call(request)) };
        let (audit, caller) = (self.audit.clone(), caller_name(request.extensions()));
        let call = self.inner.call(request);
        Either::Right(Box::pin(async move {
            let response = call.await?;
            if let Some(status) = Status::from_header_map(response.headers()) {
                audit.count(&caller, path, code_name(status.code()));
            }
            Ok(response)
        }))
    }
}
