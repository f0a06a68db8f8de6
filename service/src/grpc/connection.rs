//! A client's connection: it joins small writes, since a system call costs a good part of a warm score, and is read in
//! its turn. No library does this below the HTTP/2 layer.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::AtomicBool},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{
    accept::{ClientConnection, PREFACE_BYTES, Speaks},
    backlog::ReadTurns,
};
use crate::security::{PeerCertificate, SecuredStream};

/// Writes below this size wait for the next write or for a flush.
const SMALL: usize = 4 << 10;

/// A connection of a client, before its writes are joined.
pub(super) type GrpcStream = SecuredStream<ClientConnection<TcpStream>>;

/// A connection that sends small responses together, and is read when its [`ReadTurns`] allow it.
///
/// When a connection accepts several buffers in one write, the HTTP/2 layer passes each message of 256 bytes
/// or more alone, and every response costs a system call. This connection says that it accepts one buffer:
/// then messages below 1,024 bytes, as scores are, arrive in one piece with their headers and with other
/// responses that are ready. The headers of larger messages arrive before them and wait here, so that both
/// are sent together.
pub struct CoalescingConnection<S> {
    stream: S,
    waiting: Vec<u8>,
    /// Bytes of the preface that have not arrived.
    unspoken: usize,
    /// When it may be read.
    turns: ReadTurns,
}

impl<S> CoalescingConnection<S> {
    pub(super) const fn new(stream: S, turns: ReadTurns) -> Self {
        Self { stream, waiting: Vec::new(), unspoken: PREFACE_BYTES, turns }
    }
}

impl<S: AsyncWrite + Unpin> CoalescingConnection<S> {
    /// Sends the waiting bytes and some of `more`; returns how many of the latter.
    fn send(&mut self, context: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while !self.waiting.is_empty() {
            let both = [IoSlice::new(&self.waiting), IoSlice::new(more)];
            let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &both))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_more = sent.saturating_sub(self.waiting.len());
            self.waiting.drain(..sent - of_more);
            if of_more > 0 {
                return Poll::Ready(Ok(of_more));
            }
        }
        if more.is_empty() {
            Poll::Ready(Ok(0))
        } else {
            Pin::new(&mut self.stream).poll_write(context, more)
        }
    }
}

/// Who is at the other end of a connection; in the extensions of its requests.
#[derive(Clone)]
pub struct ConnectionInfo {
    /// Where the client is.
    pub address: Option<SocketAddr>,
    /// The certificate that it has shown.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Whether a call on the connection had valid credentials.
    pub is_trusted: Arc<AtomicBool>,
}

impl ConnectionInfo {
    pub(super) fn of(stream: &GrpcStream) -> Self {
        Self {
            address: stream.get_ref().get_ref().peer_addr().ok(),
            certificate: stream.certificate(),
            is_trusted: Arc::default(),
        }
    }
}

impl<S: AsyncRead + Speaks + Unpin> AsyncRead for CoalescingConnection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Not before the preface: the time for that is limited.
        if self.unspoken == 0 {
            ready!(self.turns.poll(context));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.turns.read(read);
        if self.unspoken > 0 {
            self.unspoken = self.unspoken.saturating_sub(read);
            if self.unspoken == 0 {
                self.stream.has_spoken();
            }
        }
        polled
    }
}

/// A write of several buffers is left to the trait, which says that there is none.
impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingConnection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.waiting.is_empty() && bytes.len() < SMALL {
            self.waiting.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        self.send(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send(context, &[]))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send(context, &[]))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::{super::backlog::Backlog, *};

    #[tokio::test]
    async fn all_bytes_arrive_in_order_whatever_the_sizes_and_however_little_is_taken_at_a_time() {
        let bytes: Vec<u8> = (0..500_000_u32).map(|n| (n % 251) as u8).collect();
        // Less than what waits, and more.
        for room in [100, 10_000] {
            let (stream, mut client) = duplex(room);
            let reading = tokio::spawn(async move {
                let mut all = Vec::new();
                client.read_to_end(&mut all).await.expect("an end");
                all
            });
            let mut connection = CoalescingConnection::new(stream, Arc::<Backlog>::default().connection());
            let (mut rest, mut number) = (&*bytes, 0);
            while !rest.is_empty() {
                number += 1;
                let size = [1, 9, 600, SMALL - 1, SMALL, 16_384, 100_000][number % 7].min(rest.len());
                let written = connection.write(&rest[..size]).await.expect("a reader");
                assert!((1..=size).contains(&written));
                rest = &rest[written..];
                if number.is_multiple_of(5) {
                    connection.flush().await.expect("a reader");
                }
            }
            connection.shutdown().await.expect("a reader");
            drop(connection);
            assert!(reading.await.expect("no panic") == bytes);
        }
    }

    impl Speaks for tokio::io::DuplexStream {
        fn has_spoken(&mut self) {}
    }

    #[tokio::test]
    async fn the_preface_is_read_at_once_and_the_rest_when_few_calls_wait() {
        let backlog = Arc::new(Backlog::default());
        let (stream, mut client) = duplex(1_000);
        let mut connection = CoalescingConnection::new(stream, backlog.connection());
        let calls: Vec<_> = (0..1_000).map(|_| backlog.begin()).collect();
        let mut read = [0; PREFACE_BYTES];
        client.write_all(&[1; PREFACE_BYTES + 2]).await.expect("room");
        assert_eq!(connection.read_exact(&mut read).await.expect("bytes"), PREFACE_BYTES);
        let mut rest = [0; 2];
        let mut reading = pin!(connection.read_exact(&mut rest));
        assert!(poll!(reading.as_mut()).is_pending());
        drop(calls);
        assert_eq!(reading.await.expect("bytes"), 2);
    }

    #[tokio::test]
    async fn what_is_small_leaves_with_what_comes_next_or_when_it_is_flushed() {
        let (stream, mut client) = duplex(1_000);
        let mut connection = CoalescingConnection::new(stream, Arc::<Backlog>::default().connection());
        assert!(!connection.is_write_vectored());
        let mut received = [0; 9];
        assert_eq!(connection.write(b"head").await.expect("a reader"), 4);
        assert_eq!(connection.waiting, b"head");
        assert_eq!(connection.write(b" body").await.expect("a reader"), 5);
        assert_eq!(client.read(&mut received).await.expect("bytes"), 9);
        assert_eq!(&received, b"head body");
        assert_eq!(connection.write(b"tail").await.expect("a reader"), 4);
        connection.flush().await.expect("a reader");
        assert_eq!(client.read(&mut received).await.expect("bytes"), 4);
    }
}
