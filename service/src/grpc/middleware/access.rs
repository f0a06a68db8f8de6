//! The check who calls, before anything of the call's messages is read, and again while a long call runs.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use crate::{
    grpc::{
        caller::caller_name,
        connection::ConnectionInfo,
        status::{code_name, unknown_method},
    },
    security::{Access, AuditLog, Caller, Credentials, Refusal, Rule, known_path, rule},
};

/// How often the credentials of a call that goes on are checked: they may expire or be withdrawn.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// The shortest wait, when credentials expire in this very moment.
const SHORTEST: Duration = Duration::from_millis(1);

/// Puts [`CheckedService`] around a service.
#[derive(Clone)]
pub(in crate::grpc) struct AccessLayer {
    access: Option<Arc<Access>>,
    audit: AuditLog,
}

impl AccessLayer {
    /// Checks callers and counts in `audit` whom it refuses; without `access` everybody may call everything.
    pub(in crate::grpc) const fn new(access: Option<Arc<Access>>, audit: AuditLog) -> Self {
        Self { access, audit }
    }
}

impl<S> Layer<S> for AccessLayer {
    type Service = CheckedService<S>;

    fn layer(&self, inner: S) -> CheckedService<S> {
        CheckedService { inner, access: self.access.clone(), audit: self.audit.clone() }
    }
}

/// Refuses calls whose caller may not make them. Others find their `Arc<Caller>` in the extensions of the request.
#[derive(Clone)]
pub(in crate::grpc) struct CheckedService<S> {
    inner: S,
    access: Option<Arc<Access>>,
    audit: AuditLog,
}

type Checked<S> = Either<
    Ready<Result<Response<Body>, <S as Service<Request<Body>>>::Error>>,
    BoxFuture<'static, Result<Response<Body>, <S as Service<Request<Body>>>::Error>>,
>;

impl<S> Service<Request<Body>> for CheckedService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Checked<S>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(access) = &self.access else { return Either::Left(self.inner.call(request)) };
        let Some(rule) = rule(request.uri().path()) else {
            return Either::Right(Either::Left(ready(Ok(unknown_method().into_http()))));
        };
        let connection = request.extensions().get::<ConnectionInfo>().cloned();
        let credentials = credentials(&request);
        // A client that was let in, or the proxy of one, is not shut out by what others do at its address.
        let unknown = connection.as_ref().filter(|connection| !connection.is_trusted.load(Relaxed));
        let address = unknown.and_then(|connection| connection.address).map(|address| address.ip());
        match access.admit(rule, &credentials, address) {
            Err(refusal) => {
                tracing::debug!(reason = refusal.reason(), "refused");
                let status = Status::from(&refusal);
                count(&self.audit, &refusal, &request, &status);
                Either::Right(Either::Left(ready(Ok(status.into_http()))))
            }
            Ok(None) => Either::Left(self.inner.call(request)),
            Ok(Some(caller)) => {
                if let Some(connection) = connection {
                    connection.is_trusted.store(true, Relaxed);
                }
                let check = RepeatedCheck::new(Arc::clone(access), rule, credentials, &caller);
                request.extensions_mut().insert(caller);
                let call = self.inner.call(request);
                let call =
                    async move { Ok(call.await?.map(|body| Body::new(CheckedBody::new(body, check)))) };
                Either::Right(Either::Right(Box::pin(call)))
            }
        }
    }
}

/// Counts a refusal.
fn count(audit: &AuditLog, refusal: &Refusal, request: &Request<Body>, status: &Status) {
    let Some(path) = known_path(request.uri().path()) else { return };
    let outcome = code_name(status.code());
    match refusal {
        Refusal::Scope { caller, .. } => audit.count(caller, path, outcome),
        _ => audit.count(&caller_name(request.extensions()), path, outcome),
    }
}

fn credentials(request: &Request<Body>) -> Credentials {
    let connection = request.extensions().get::<ConnectionInfo>();
    let certificate = connection.and_then(|connection| connection.certificate.clone());
    Credentials::new(request.headers().get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes), certificate)
}

/// Checks the credentials of a call again and again.
struct RepeatedCheck {
    access: Arc<Access>,
    rule: Rule,
    credentials: Credentials,
    next: Instant,
}

impl RepeatedCheck {
    fn new(access: Arc<Access>, rule: Rule, credentials: Credentials, caller: &Caller) -> Self {
        let next = next_check(&access, caller);
        Self { access, rule, credentials, next }
    }

    fn run(&mut self) -> Result<(), Refusal> {
        if let Some(caller) = self.access.check(self.rule, &self.credentials)? {
            self.next = next_check(&self.access, &caller);
        }
        Ok(())
    }
}

/// In a minute, or when the credentials expire.
fn next_check(access: &Access, caller: &Caller) -> Instant {
    let left = caller.expires.map(|expires| expires.0.saturating_sub(access.now().0));
    let left = left.map_or(CHECK_EVERY, |left| Duration::from_micros(left.try_into().unwrap_or(0)));
    Instant::now() + left.clamp(SHORTEST, CHECK_EVERY)
}

/// A response body that ends once its caller may not read on.
struct CheckedBody {
    inner: Body,
    check: RepeatedCheck,
    /// Made when the body has to be waited for, which bodies with one message never are.
    sleep: Option<Pin<Box<Sleep>>>,
    refused: bool,
}

impl CheckedBody {
    const fn new(inner: Body, check: RepeatedCheck) -> Self {
        Self { inner, check, sleep: None, refused: false }
    }

    /// Ends the body, and with it the work behind it, with the trailers of a refusal.
    fn refuse(&mut self, refusal: &Refusal) -> Result<Frame<<Body as http_body::Body>::Data>, Status> {
        self.refused = true;
        self.inner = Body::empty();
        let mut trailers = HeaderMap::new();
        Status::from(refusal).add_header(&mut trailers)?;
        Ok(Frame::trailers(trailers))
    }

    /// Waits for the next check.
    fn poll_sleep(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let next = self.check.next;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if sleep.deadline() != next {
            sleep.as_mut().reset(next);
        }
        sleep.as_mut().poll(context)
    }
}

impl http_body::Body for CheckedBody {
    type Data = <Body as http_body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        if self.refused {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let goes_on = match &polled {
            Poll::Pending => true,
            Poll::Ready(frame) => matches!(frame, Some(Ok(frame)) if frame.is_data()),
        };
        if !goes_on {
            return polled;
        }
        loop {
            let due = match polled.is_pending() {
                true => self.poll_sleep(context).is_ready(),
                false => Instant::now() >= self.check.next,
            };
            if !due {
                return polled;
            }
            if let Err(refusal) = self.check.run() {
                return Poll::Ready(Some(self.refuse(&refusal)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::{
        platform::clock::system_clock,
        security::{Scope, Security, SettingsFile, TokenFile},
    };

    /// `printf tally_abc | sha256sum`
    const HASH: &str = "869224cdcb84458768fba8e82c6b3874e208b1751f43f5d0f2e8ebceefe868d0";

    #[tokio::test(start_paused = true)]
    async fn a_body_that_waits_ends_within_a_minute_of_the_withdrawal_of_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        let entry =
            |scope: &str| format!("[[token]]\nname = \"a\"\nsha256 = \"{HASH}\"\nscopes = [\"{scope}\"]\n");
        std::fs::write(&path, entry("read")).unwrap();
        let tokens = TokenFile::open(SettingsFile::new("--tokens", &path)).unwrap();
        let security = Security::new(None, Some(tokens), None, system_clock);
        let access = security.access.clone().unwrap();
        let credentials = Credentials::new([&b"Bearer tally_abc"[..]].into_iter(), None);
        let rule = Rule::Needs(Scope::Read);
        let caller = access.check(rule, &credentials).unwrap().unwrap();
        let check = RepeatedCheck::new(access, rule, credentials, &caller);
        let endless = http_body_util::StreamBody::new(futures_util::stream::pending::<
            Result<Frame<bytes::Bytes>, Status>,
        >());
        let mut body = CheckedBody::new(Body::new(endless), check);
        let begun = Instant::now();
        let five_minutes = tokio::time::timeout(Duration::from_secs(300), body.frame()).await;
        assert!(five_minutes.is_err(), "it goes on while the token is valid");
        std::fs::write(&path, entry("write")).unwrap();
        assert!(security.poll_files().is_empty());
        assert!(security.poll_files().iter().all(Result::is_ok));
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(Status::from_header_map(&trailers).unwrap().code(), tonic::Code::PermissionDenied);
        assert!(begun.elapsed() <= Duration::from_secs(360));
        assert!(body.frame().await.is_none());
    }

    #[test]
    fn every_rpc_of_health_and_reflection_has_a_rule() {
        let sets = [
            (tonic_health::pb::FILE_DESCRIPTOR_SET, Rule::Open),
            (tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, Rule::AnyCaller),
            (tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET, Rule::AnyCaller),
        ];
        let mut rpcs = 0;
        for (set, expected) in sets {
            for file in FileDescriptorSet::decode(set).unwrap().file {
                for (service, method) in
                    file.service.iter().flat_map(|s| s.method.iter().map(move |m| (s, m)))
                {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    assert_eq!(rule(&path), Some(expected), "{path}");
                    rpcs += 1;
                }
            }
        }
        assert_eq!(rpcs, 4);
    }
}
