//! Accepts the connections of clients: no more than there is room for, and none that stays silent.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, stream};
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{platform::metrics::MetricsRegistry, security::SecuredStream};

/// How long a client may take to send the preface of HTTP/2, after a handshake if there is one.
const SPEAKS_WITHIN: Duration = Duration::from_secs(10);
/// The length of the preface of HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE_BYTES: usize = 24;
/// How long no connection is accepted after the system could not give one, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// The connections of one server.
struct Connections {
    most: usize,
    open: Gauge,
    refused: Counter,
    silent: Mutex<Silent>,
}

/// The connections on which nothing has been said yet, by the order of their beginnings.
#[derive(Default)]
struct Silent {
    begun: u64,
    ends: BTreeMap<u64, CancellationToken>,
}

/// The connections that clients open, at most `most` at a time. When there are as many, a new one takes the place of
/// the one that has been silent longest, or else is closed at once: who does not speak keeps nobody out.
pub(super) fn connections(
    listener: TcpListener,
    most: usize,
    metrics: &MetricsRegistry,
) -> impl Stream<Item = io::Result<ClientConnection<TcpStream>>> + Send + use<> {
    let connections = Arc::new(Connections {
        most,
        open: metrics.register("tally_connections", "Open connections of clients"),
        refused: metrics.register(
            "tally_connections_refused",
            "Connections closed because there were too many, silent ones first",
        ),
        silent: Mutex::default(),
    });
    stream::unfold((listener, connections), async |(listener, connections)| {
        let stream = accept(&listener, &connections).await;
        let connection = connections.open(stream);
        Some((Ok(connection), (listener, connections)))
    })
}

/// The next connection for which there is room.
async fn accept(listener: &TcpListener, connections: &Connections) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let is_full = connections.open.get() >= connections.most as i64;
                if is_full {
                    connections.refused.inc();
                }
                if is_full && !connections.end_silent() {
                    continue;
                }
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection has ended at once");
                    continue;
                }
                return stream;
            }
            Err(error) if is_about_one(&error) => tracing::debug!(%error, "a connection has ended at once"),
            Err(error) => {
                // Silent connections give back what lacks.
                connections.end_silent();
                tracing::warn!(%error, "no connection can be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Whether an error is about the connection that was to be accepted, and not about the server.
fn is_about_one(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused)
}

impl Connections {
    fn open<S>(self: &Arc<Self>, stream: S) -> ClientConnection<S> {
        self.open.inc();
        let end = CancellationToken::new();
        let mut silent = self.silent();
        silent.begun += 1;
        let number = silent.begun;
        silent.ends.insert(number, end.clone());
        drop(silent);
        let silence =
            Silence { lasts: Box::pin(sleep(SPEAKS_WITHIN)), ends: Box::pin(end.cancelled_owned()) };
        ClientConnection {
            stream,
            silence: Some(silence),
            place: Place { number, connections: Arc::clone(self) },
        }
    }

    /// Ends the connection that has been silent longest. Returns whether there is one.
    fn end_silent(&self) -> bool {
        let first = self.silent().ends.pop_first();
        first.map(|(_, end)| end.cancel()).is_some()
    }

    fn silent(&self) -> MutexGuard<'_, Silent> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that ends when its client does not say in time that it speaks HTTP/2.
pub(super) struct ClientConnection<S> {
    stream: S,
    /// None when the client has spoken.
    silence: Option<Silence>,
    place: Place,
}

struct Silence {
    lasts: Pin<Box<Sleep>>,
    ends: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// The place of a connection among all.
struct Place {
    number: u64,
    connections: Arc<Connections>,
}

impl Place {
    fn has_spoken(&self) {
        self.connections.silent().ends.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.has_spoken();
        self.connections.open.dec();
    }
}

impl<S> ClientConnection<S> {
    /// The connection itself.
    pub(super) const fn get_ref(&self) -> &S {
        &self.stream
    }
}

/// A connection that is notified when its client has sent the HTTP/2 preface. Under TLS the preface is encrypted, so the
/// code that decrypts it has to tell.
pub(super) trait Speaks {
    fn has_spoken(&mut self);
}

impl<S> Speaks for SecuredStream<ClientConnection<S>> {
    fn has_spoken(&mut self) {
        let connection = self.get_mut();
        connection.silence = None;
        connection.place.has_spoken();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(silence) = &mut self.silence else { return polled };
        let has_ended = polled.is_pending()
            && (silence.lasts.as_mut().poll(context).is_ready()
                || silence.ends.as_mut().poll(context).is_ready());
        if has_ended { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { polled }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientConnection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::Instant,
    };

    use super::*;
    use crate::grpc::{backlog::Backlog, connection::CoalescingConnection};

    type Connection = CoalescingConnection<SecuredStream<ClientConnection<DuplexStream>>>;

    const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn connections() -> Arc<Connections> {
        Arc::new(Connections {
            most: 2,
            open: Gauge::default(),
            refused: Counter::default(),
            silent: Mutex::default(),
        })
    }

    fn open(connections: &Arc<Connections>) -> (Connection, DuplexStream) {
        let (stream, client) = duplex(100);
        let turns = Arc::<Backlog>::default().connection();
        (Connection::new(SecuredStream::Plain(connections.open(stream)), turns), client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_has_ten_seconds_for_its_preface_and_then_any_time() {
        let connections = connections();
        for bytes in [0, PREFACE_BYTES - 1] {
            let ((mut connection, mut client), begun) = (open(&connections), Instant::now());
            client.write_all(&PREFACE[..bytes]).await.unwrap();
            let read = connection.read_to_end(&mut Vec::new()).await;
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!((9..=11).contains(&begun.elapsed().as_secs()));
        }
        let (mut connection, mut client) = open(&connections);
        client.write_all(PREFACE).await.unwrap();
        connection.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let silence = tokio::time::timeout(Duration::from_secs(3_600), connection.read_u8());
        assert!(silence.await.is_err());
        assert_eq!(connections.open.get(), 1);
        drop(connection);
        assert_eq!(connections.open.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_has_been_silent_longest_ends_first() {
        let connections = connections();
        let [(mut first, mut speaks), (mut second, _second), (mut third, _third)] =
            [open(&connections), open(&connections), open(&connections)];
        speaks.write_all(PREFACE).await.unwrap();
        first.read_exact(&mut [0; PREFACE_BYTES]).await.unwrap();
        let begun = Instant::now();
        assert!(connections.end_silent());
        second.read_u8().await.unwrap_err();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(second);
        assert!(connections.end_silent());
        third.read_u8().await.unwrap_err();
        assert!(!connections.end_silent(), "the first has spoken");
    }
}
