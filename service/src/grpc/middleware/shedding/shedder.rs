//! What decides about calls: the gates of the classes, the budget of memory and the quotas, and how requests and
//! responses are tied to them.

use std::{
    collections::HashMap,
    num::NonZero,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, request::Parts};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Status, body::Body};

use super::{
    class::{self, Class, Method},
    gate::{Gate, Turn},
    memory::{MemoryBudget, Reservation},
    message::Messages,
    quota::Quota,
    response::{EndingBody, Held, HeldBody},
};
use crate::{
    grpc::status::{self, Overload},
    platform::{error::Error, metrics::MetricsRegistry},
    security::Caller,
};

/// How long the message of a unary call may take to arrive, and one of a stream from its first bytes on: 4 MiB at
/// 1.2 Mbit/s.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// How long a stream may be idle when the server stops.
const IDLE_AT_STOP: Duration = Duration::from_secs(1);
/// How long a stream may go on when the server stops.
const BUSY_AT_STOP: Duration = Duration::from_secs(3);

/// How much a server takes on.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// The memory that calls in flight hold together, in bytes.
    pub memory_in_flight: usize,
    /// The calls a second of each caller; None for any number.
    pub calls_per_second: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    class: Class,
    reason: &'static str,
}

/// Decides which calls of one server are let in.
pub(super) struct LoadShedder {
    pub(super) methods: HashMap<String, Method>,
    pub(super) stopping: CancellationToken,
    /// In the order of [`Class::ALL`].
    gates: [Gate; Class::ALL.len()],
    memory: MemoryBudget,
    quota: Option<Quota>,
    refused: Family<RefusalLabels, Counter>,
}

impl LoadShedder {
    pub(super) fn new(capacity: Capacity, metrics: &MetricsRegistry, stopping: CancellationToken) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get) as u32;
        let help =
            "Memory that calls in flight hold: what they were sent, decoded, and what they are answered";
        let in_flight = metrics.register("tally_memory_in_flight_bytes", help);
        let help = "Calls that were refused because the server was busy or a quota was used up";
        let refused: Family<RefusalLabels, Counter> = metrics.register("tally_calls_refused", help);
        for class in Class::ALL {
            for reason in Overload::REASONS {
                // From the start, so that an increase from 0 is seen.
                let _ = refused.get_or_create_owned(&RefusalLabels { class, reason });
            }
        }
        Self {
            methods: class::methods(),
            stopping,
            gates: Class::ALL.map(|class| Gate::new(class.limits(cores))),
            memory: MemoryBudget::new(capacity.memory_in_flight, in_flight),
            quota: capacity.calls_per_second.map(Quota::new),
            refused,
        }
    }

    const fn gate(&self, class: Class) -> &Gate {
        &self.gates[class as usize]
    }

    /// Refuses a call for which there is no room, before any of it is read.
    pub(super) fn admit(&self, method: Method, request: &Request<Body>) -> Result<(), Status> {
        if self.gate(method.class).refuses() {
            return Err(self.refusal(method.class, &Overload::Busy));
        }
        if let Some(quota) = &self.quota {
            let taken = quota.take(caller(request).unwrap_or_default(), Instant::now());
            taken.map_err(|wait| self.refusal(method.class, &Overload::Quota(wait)))?;
        }
        Ok(())
    }

    /// Reads the message of a unary call and waits for its turn.
    pub(super) async fn read_message(
        &self,
        method: Method,
        messages: Messages,
        parts: &mut Parts,
    ) -> Result<(Body, Held), Status> {
        let gate = self.gate(method.class);
        let read = timeout(ARRIVES_WITHIN, self.read_only_message(method.class, messages));
        let (message, memory) = read.await.map_err(|_| status::not_sent(ARRIVES_WITHIN))??;
        let turn = gate.enter(message.len()).await;
        let turn = turn.ok_or_else(|| self.refusal(method.class, &Overload::Busy))?;
        let memory = Arc::new(memory);
        if method.class == Class::batch {
            // What it will be answered depends on what it asks for.
            parts.extensions.insert(Arc::clone(&memory));
        }
        Ok((Body::new(Full::new(message)), Held { turn: Some(turn), memory }))
    }

    async fn read_only_message(
        &self,
        class: Class,
        mut messages: Messages,
    ) -> Result<(Bytes, Reservation), Status> {
        let header = messages.header().await?;
        let header = header.ok_or_else(|| Error::invalid("message", "is missing; a unary call has one"))?;
        let memory = self.take_memory(class, header.memory())?;
        let message = messages.message(header, &memory).await?;
        messages.end().await?;
        Ok((message, memory))
    }

    /// Lets a stream in, whose messages wait until there is room for them: that slows its caller down.
    pub(super) async fn read_stream(
        self: &Arc<Self>,
        method: Method,
        messages: Messages,
    ) -> Result<(Body, Held), Status> {
        let turn = self.gate(method.class).enter(0).await;
        let turn = turn.ok_or_else(|| self.refusal(method.class, &Overload::Busy))?;
        let held = Held { turn: Some(turn), memory: Arc::new(self.take_memory(method.class, 0)?) };
        let end = EndAtStop::new(self.stopping.clone());
        let stream = MessageStream { messages, shedder: Arc::clone(self), end, taken: None };
        let frames = stream::try_unfold(stream, MessageStream::next);
        Ok((Body::new(StreamBody::new(frames)), held))
    }

    /// The memory of a call that takes so much for its message.
    fn take_memory(&self, class: Class, message_bytes: usize) -> Result<Reservation, Status> {
        let bytes = self.gate(class).limits().call_bytes + message_bytes;
        self.memory.try_reserve(bytes).ok_or_else(|| self.refusal(class, &Overload::Memory))
    }

    /// The response of a call, which keeps what the call has taken.
    pub(super) fn hold(method: Method, body: Body, held: Held) -> Body {
        Body::new(HeldBody::new(body, held, method.server_streaming))
    }

    fn refusal(&self, class: Class, overload: &Overload) -> Status {
        let reason = overload.reason();
        self.refused.get_or_create(&RefusalLabels { class, reason }).inc();
        status::overloaded(overload)
    }
}

/// The caller by whose quota a call counts; None where callers are not checked, and share one quota.
fn caller(request: &Request<Body>) -> Option<&str> {
    request.extensions().get::<Arc<Caller>>().map(|caller| caller.name.as_str())
}

/// The messages of a stream, one after the other.
struct MessageStream {
    messages: Messages,
    shedder: Arc<LoadShedder>,
    end: EndAtStop,
    /// What the current message has taken.
    taken: Option<(Reservation, Option<Turn>)>,
}

impl MessageStream {
    async fn next(mut self) -> Result<Option<(Frame<Bytes>, Self)>, Status> {
        // The handler asks for a message when it is done with the one before.
        self.taken = None;
        let Self { messages, shedder, end, .. } = &mut self;
        let header = tokio::select! {
            // First, so that it also ends streams that are never idle.
            biased;
            () = end.wait() => return Err(status::stopping()),
            header = messages.header() => header?,
        };
        let Some(header) = header else { return Ok(None) };
        let memory = shedder.memory.reserve(header.memory()).await;
        let message = tokio::select! {
            biased;
            () = end.wait() => return Err(status::stopping()),
            message = timeout(ARRIVES_WITHIN, messages.message(header, &memory)) => message,
        };
        let message = message.map_err(|_| status::not_sent(ARRIVES_WITHIN))??;
        let turn = shedder.gate(Class::ingest).enter_patiently(message.len()).await;
        self.taken = Some((memory, turn));
        Ok(Some((Frame::data(message), self)))
    }
}

/// When a stream of requests ends because the server stops: once no message arrives, or after a few seconds. The messages
/// that have arrived are done.
struct EndAtStop {
    stopping: CancellationToken,
    /// When the stream noticed that the server stops.
    noticed: Option<Instant>,
}

impl EndAtStop {
    const fn new(stopping: CancellationToken) -> Self {
        Self { stopping, noticed: None }
    }

    /// Completes when the stream has to end. Called again for each part of the stream.
    async fn wait(&mut self) {
        self.stopping.cancelled().await;
        let now = Instant::now();
        let busy_until = *self.noticed.get_or_insert(now) + BUSY_AT_STOP;
        sleep_until(busy_until.min(now + IDLE_AT_STOP).into()).await;
    }
}

/// A request that ends with an error when the server stops.
pub(super) fn ending_at_stop(body: Body, stopping: CancellationToken) -> Body {
    let frames = stream::try_unfold((body, EndAtStop::new(stopping)), async |(mut body, mut end)| {
        let frame = tokio::select! {
            biased;
            () = end.wait() => return Err(status::stopping()),
            frame = body.frame() => frame.transpose()?,
        };
        Ok(frame.map(|frame| (frame, (body, end))))
    });
    Body::new(StreamBody::new(frames))
}

/// A response that ends when the server stops and there is nothing to send.
pub(super) fn ending(body: Body, stopping: CancellationToken) -> Body {
    Body::new(EndingBody::new(body, stopping))
}
