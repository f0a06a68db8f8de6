//! The response of a call that was let in: it holds what the call has taken until it has been sent, and is given up when
//! its caller does not read it.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body::Body};

use super::{gate::Turn, memory::Reservation};
use crate::grpc::status::{self, Overload};

/// How much of a message is handed to the transport at a time: what it holds cannot be given up any more.
const SLICE: usize = 64 << 10;
/// How long a caller may read nothing of a response of which there is more.
const READ_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether callers read.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// What a call has taken.
pub(super) struct Held {
    /// Until its work is done; None when it is.
    pub(super) turn: Option<Turn>,
    pub(super) memory: Arc<Reservation>,
}

/// The body of a response.
pub(super) enum HeldBody {
    /// One small message, as most responses are.
    Plain(Option<Unsent>),
    /// It is taken away from a caller who does not read it.
    Watched(Arc<Watched>),
}

/// The rest of a response.
pub(super) struct Unsent {
    body: Body,
    /// The rest of its current frame.
    rest: Bytes,
    held: Held,
}

impl HeldBody {
    /// The response of a call; `is_stream` if it is one.
    pub(super) fn new(body: Body, held: Held, is_stream: bool) -> Self {
        let unsent = Unsent { body, rest: Bytes::new(), held };
        if is_stream { Self::Watched(Watched::new(unsent)) } else { Self::Plain(Some(unsent)) }
    }
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Watched(watched) => watched.poll(context),
            Self::Plain(plain) => {
                let Some(unsent) = plain else { return Poll::Ready(None) };
                let polled = unsent.poll(context);
                if !unsent.rest.is_empty()
                    && let Some(unsent) = plain.take()
                {
                    // A large message, which its caller may take long to read.
                    *self = Self::Watched(Watched::new(unsent));
                }
                polled
            }
        }
    }

    /// True of an error, which is headers alone. Sent as headers and an empty body, clients of gRPC in C take it for a
    /// broken response.
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Watched(watched) => watched.lock().as_ref().is_some_and(Unsent::has_ended),
            Self::Plain(plain) => plain.as_ref().is_none_or(Unsent::has_ended),
        }
    }
}

impl Unsent {
    fn has_ended(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) if !self.held.memory.grow(data.len()) => {
                    self.body = Body::empty();
                    return Poll::Ready(Some(Ok(trailers(&status::overloaded(&Overload::Memory)))));
                }
                Ok(data) => self.rest = data,
                Err(frame) => return Poll::Ready(Some(Ok(frame))),
            }
        }
        let slice = self.rest.split_to(self.rest.len().min(SLICE));
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }
}

/// A response whose caller is watched.
pub(super) struct Watched {
    unsent: Mutex<Option<Unsent>>,
    /// How often the caller has asked for more; odd while it waits for an answer.
    polls: AtomicU64,
}

impl Watched {
    fn new(unsent: Unsent) -> Arc<Self> {
        let watched = Arc::new(Self { unsent: Mutex::new(Some(unsent)), polls: AtomicU64::new(0) });
        let weak = Arc::downgrade(&watched);
        tokio::spawn(async move {
            let mut looks = interval(LOOK_EVERY);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let (mut before, mut unchanged) = (u64::MAX, 0);
            loop {
                looks.tick().await;
                let Some(watched) = weak.upgrade() else { return };
                let polls = watched.polls.load(Relaxed);
                // Who has asked and waits is not to blame.
                unchanged = if polls == before && polls.is_multiple_of(2) { unchanged + 1 } else { 0 };
                before = polls;
                if LOOK_EVERY * unchanged >= READ_WITHIN {
                    drop(watched.take());
                    return;
                }
            }
        });
        watched
    }

    fn take(&self) -> Option<Unsent> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unsent>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polls = self.polls.load(Relaxed);
        let mut unsent = self.lock();
        let Some(unsent) = unsent.as_mut() else {
            return Poll::Ready(Some(Ok(trailers(&status::not_read(READ_WITHIN)))));
        };
        let polled = unsent.poll(context);
        // The next number that is even when the caller has got something, or odd when it waits.
        let next = if polled.is_ready() { (polls + 2) & !1 } else { polls | 1 };
        self.polls.store(next, Relaxed);
        polled
    }
}

/// A response that ends when the server stops and there is nothing to send.
pub(super) struct EndingBody {
    body: Body,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
    has_ended: bool,
}

impl EndingBody {
    pub(super) fn new(body: Body, stopping: CancellationToken) -> Self {
        Self { body, stopping: Box::pin(stopping.cancelled_owned()), has_ended: false }
    }
}

impl http_body::Body for EndingBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending() && self.stopping.as_mut().poll(context).is_ready() {
            self.has_ended = true;
            return Poll::Ready(Some(Ok(trailers(&Status::ok("")))));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}

/// The end of a response that has begun.
fn trailers(status: &Status) -> Frame<Bytes> {
    let mut headers = HeaderMap::new();
    // Metadata that cannot be a header is left out; ours can.
    let _ = status.add_header(&mut headers);
    Frame::trailers(headers)
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use prometheus_client::metrics::gauge::Gauge;
    use tokio::time::sleep;
    use tonic::Code;

    use super::{super::memory::MemoryBudget, *};

    const LARGE: usize = 10 * SLICE + 1;

    /// The response of a message of this size, from a budget of a megabyte, and what is in flight.
    fn response(bytes: usize, is_stream: bool) -> (HeldBody, Gauge) {
        let in_flight = Gauge::default();
        let budget = MemoryBudget::new(1 << 20, in_flight.clone());
        let frames =
            [Ok::<_, Status>(Frame::data(Bytes::from(vec![7; bytes]))), Ok(trailers(&Status::ok("")))];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let held = Held { turn: None, memory: Arc::new(budget.try_reserve(1 << 10).unwrap()) };
        (HeldBody::new(body, held, is_stream), in_flight)
    }

    /// The bytes that are left of a response, and the status at its end.
    async fn rest(body: &mut HeldBody) -> (usize, Code) {
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            match frame.unwrap().into_data() {
                Ok(data) => bytes += data.len(),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap();
                    return (bytes, Status::from_header_map(&trailers).unwrap().code());
                }
            }
        }
        panic!("a response ends with a status");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_is_read_slowly_is_sent_whole_and_holds_its_memory() {
        for (bytes, held) in [(1, 1 << 10), (SLICE, SLICE as i64), (LARGE, (LARGE as i64 | 1_023) + 1)] {
            for is_stream in [false, true] {
                let (mut body, in_flight) = response(bytes, is_stream);
                let mut read = body.frame().await.unwrap().unwrap().into_data().unwrap().len();
                assert_eq!((read, in_flight.get()), (bytes.min(SLICE), held));
                while read < bytes {
                    sleep(READ_WITHIN - LOOK_EVERY - Duration::from_secs(1)).await;
                    read += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
                }
                assert_eq!(rest(&mut body).await, (0, Code::Ok));
                drop(body);
                assert_eq!(in_flight.get(), 0);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_read_is_given_up() {
        let (mut body, in_flight) = response(LARGE, false);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap().len(), SLICE);
        sleep(READ_WITHIN + 2 * LOOK_EVERY).await;
        assert_eq!(in_flight.get(), 0);
        assert_eq!(rest(&mut body).await, (0, Code::DeadlineExceeded));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_waits_for_events_is_not_given_up() {
        let (mut body, in_flight) = response(1, true);
        let frames = stream::once(sleep(Duration::from_secs(3_600)))
            .map(|()| Ok::<_, Status>(Frame::data(Bytes::from_static(b"late"))));
        let HeldBody::Watched(watched) = &mut body else { panic!("a stream is watched") };
        watched.unsent.lock().unwrap().as_mut().unwrap().body = Body::new(StreamBody::new(frames));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "late");
        assert_ne!(in_flight.get(), 0);
    }

    #[tokio::test]
    async fn a_response_for_which_there_is_no_memory_is_not_sent() {
        let budget = MemoryBudget::new(1 << 20, Gauge::default());
        let _other = budget.try_reserve(1 << 10).unwrap();
        let (response, _) = response(1 << 20, false);
        let HeldBody::Plain(Some(unsent)) = response else { panic!("one message") };
        let held = Held { turn: None, memory: Arc::new(budget.try_reserve(1 << 10).unwrap()) };
        let mut body = HeldBody::Plain(Some(Unsent { held, ..unsent }));
        assert_eq!(rest(&mut body).await, (0, Code::ResourceExhausted));
    }
}
