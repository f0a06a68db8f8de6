//! A client's connection, as the HTTP/2 layer sees it.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Writes below this size wait for the next write or for the end of what there is to write.
const SMALL: usize = 4 << 10;

/// A TCP connection that sends small answers together.
///
/// To a connection that takes several buffers in one write, the HTTP/2 layer hands each message of 256 bytes
/// or more by itself, and every answer costs a system call, which is a good part of a warm score. So this one
/// says that it takes one buffer: then messages below 1,024 bytes, as scores are, come in one piece with
/// their headers and with the other answers that are ready. Greater ones come after a piece with their
/// headers, which waits here so that both leave at once.
pub struct Connection<S> {
    stream: S,
    waiting: Vec<u8>,
}

impl<S> From<S> for Connection<S> {
    fn from(stream: S) -> Self {
        Self { stream, waiting: Vec::new() }
    }
}

impl<S: AsyncWrite + Unpin> Connection<S> {
    /// Sends what waits and some of `more`; tells how much of that.
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

impl Connected for Connection<TcpStream> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// A write of several buffers is left to the trait, which says that there is none.
impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

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
            let mut connection = Connection::from(stream);
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

    #[tokio::test]
    async fn what_is_small_leaves_with_what_comes_next_or_when_it_is_flushed() {
        let (stream, mut client) = duplex(1_000);
        let mut connection = Connection::from(stream);
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
