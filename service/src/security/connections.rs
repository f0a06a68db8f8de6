//! Connections, encrypted where TLS is on.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt, future::Either};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    certificate::PeerCertificate,
    reload::Reloadable,
    tls::{Protocol, Tls},
};

/// How long a client may take for its part of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection, encrypted or not.
pub enum SecuredStream<S> {
    /// Not encrypted.
    Plain(S),
    /// Encrypted.
    Tls(Box<TlsStream<S>>),
}

impl<S> SecuredStream<S> {
    /// The connection below.
    pub fn get_ref(&self) -> &S {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }

    /// The connection below, which only who has decrypted may read.
    pub fn get_mut(&mut self) -> &mut S {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
        }
    }

    /// The certificate that the client has shown. Reads it anew each time.
    pub fn certificate(&self) -> Option<Arc<PeerCertificate>> {
        let Self::Tls(stream) = self else { return None };
        stream.get_ref().1.peer_certificates().map(|chain| Arc::new(PeerCertificate::new(chain)))
    }
}

/// Encrypts connections with TLS as it is when they come in. Handshakes run at the same time on all cores, and one that
/// fails or takes too long is dropped, so that a slow client holds up nobody.
pub fn secure<S, C>(
    incoming: C,
    tls: Option<Arc<Reloadable<Tls>>>,
    protocol: Protocol,
) -> impl Stream<Item = io::Result<SecuredStream<S>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    C: Stream<Item = io::Result<S>>,
{
    let secured = incoming.map(move |accepted| {
        let (stream, tls) = match (accepted, &tls) {
            (Ok(stream), Some(tls)) => (stream, tls),
            (plain, _) => {
                let plain = plain.map(SecuredStream::Plain);
                return Either::Left(std::future::ready(Some(plain)));
            }
        };
        let acceptor = TlsAcceptor::from(tls.current().config(protocol));
        let handshake = tokio::spawn(timeout(HANDSHAKE, acceptor.accept(stream)));
        Either::Right(handshake.map(|ended| match ended.ok()? {
            Ok(Ok(stream)) => Some(Ok(SecuredStream::Tls(Box::new(stream)))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                tracing::debug!("a TLS handshake took too long");
                None
            }
        }))
    });
    secured.buffer_unordered(usize::MAX).filter_map(std::future::ready)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for SecuredStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SecuredStream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, buffers),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::{
        platform::clock::system_clock,
        security::{SettingsFile, TlsFiles},
    };

    fn pem(label: &str, der: &[u8]) -> String {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_finish_its_handshake_is_dropped_and_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
        let pair = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&pair).unwrap();
        std::fs::write(&certificate, pem("CERTIFICATE", signed.der())).unwrap();
        std::fs::write(&key, pem("PRIVATE KEY", pair.serialized_der())).unwrap();
        let files = TlsFiles {
            certificate: SettingsFile::new("--tls-cert", &certificate),
            key: SettingsFile::new("--tls-key", &key),
            client_authorities: None,
        };
        let tls = Arc::new(Tls::open(files, system_clock).unwrap());
        let (silent, mut silent_client) = duplex(1_000);
        let (honest, honest_client) = duplex(1_000);
        let incoming = stream::iter([Ok(silent), Ok(honest)]).chain(stream::pending());
        let mut connections = Box::pin(secure(incoming, Some(tls), Protocol::Grpc));
        let mut roots = RootCertStore::empty();
        roots.add(signed.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let connect = connector.connect("localhost".try_into().unwrap(), honest_client);
        let (client, server) = tokio::join!(connect, connections.next());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().unwrap());
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut received = [0; 5];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"hello");
        let begun = tokio::time::Instant::now();
        assert_eq!(silent_client.read(&mut received).await.unwrap(), 0, "the other one is closed");
        assert!(begun.elapsed() <= HANDSHAKE);
    }
}
