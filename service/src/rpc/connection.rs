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
pub struct Connection {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl From<TcpStream> for Connection {
    fn from(stream: TcpStream) -> Self {
        Self { stream, waiting: Vec::new() }
    }
}

impl Connection {
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

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// A write of several buffers is left to the trait, which says that there is none.
impl AsyncWrite for Connection {
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
    use std::future::poll_fn;

    use tokio::net::TcpListener;

    use super::*;

    async fn write(connection: &mut Connection, bytes: &[u8]) -> usize {
        poll_fn(|context| Pin::new(&mut *connection).poll_write(context, bytes)).await.expect("a reader")
    }

    async fn flush(connection: &mut Connection) {
        poll_fn(|context| Pin::new(&mut *connection).poll_flush(context)).await.expect("a reader");
    }

    #[tokio::test]
    async fn all_bytes_arrive_in_order_whatever_the_sizes_and_however_slow_the_reader() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let reading = tokio::spawn(async move {
            let client = TcpStream::connect(address).await.expect("a listener");
            let (mut all, mut some) = (Vec::new(), [0; 777]);
            loop {
                client.readable().await.expect("a connection");
                match client.try_read(&mut some) {
                    Ok(0) => return all,
                    Ok(many) => all.extend_from_slice(&some[..many]),
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                }
            }
        });
        let mut connection = Connection::from(listener.accept().await.expect("a client").0);
        let bytes: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
        let (mut rest, mut number) = (&*bytes, 0);
        while !rest.is_empty() {
            number += 1;
            let size = [1, 9, 600, SMALL - 1, SMALL, 16_384, 1_000_000][number % 7].min(rest.len());
            let written = write(&mut connection, &rest[..size]).await;
            assert!((1..=size).contains(&written));
            rest = &rest[written..];
            if number.is_multiple_of(5) {
                flush(&mut connection).await;
            }
        }
        poll_fn(|context| Pin::new(&mut connection).poll_shutdown(context)).await.expect("a reader");
        drop(connection);
        assert!(reading.await.expect("no panic") == bytes);
    }

    #[tokio::test]
    async fn what_is_small_leaves_when_it_is_flushed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).await.expect("a listener");
        let mut connection = Connection::from(listener.accept().await.expect("a client").0);
        assert!(!connection.is_write_vectored());
        assert_eq!(write(&mut connection, b"tally").await, 5);
        assert_eq!(connection.waiting, b"tally");
        flush(&mut connection).await;
        assert_eq!(connection.waiting, b"");
        client.readable().await.expect("a connection");
        let mut some = [0; 9];
        assert_eq!(client.try_read(&mut some).expect("bytes"), 5);
    }
}
