//! The receiver of alerts: where it is, the secrets that sign what is sent to it, and one try to send.
//!
//! Signed as Standard Webhooks says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>). Errors name neither the
//! address, which may hold a password of its own, nor a secret.

use std::{error, fmt, fs, io, net::IpAddr, path::Path, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
};
use sha2::Sha256;
use tally_model::{insight::alert::WebhookSpec, time::Time};
use tokio::time::timeout;

use super::event::CONTENT_TYPE;
use crate::platform::error::{Error, Result};

/// What a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// The bytes of a secret, by the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The receiver of alerts.
pub struct Webhook {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    secrets: Vec<Vec<u8>>,
    /// How long a try may take.
    pub(super) timeout: Duration,
}

/// Why a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendError {
    /// The host of the receiver has no address.
    UnknownHost,
    /// Nobody listens at the port of the receiver.
    Refused,
    /// The receiver shows a certificate that is not valid, or not signed by a trusted authority.
    Certificate,
    /// TLS failed for another reason: the receiver may speak something else.
    Tls,
    /// There is no connection for another reason, such as a network without a way to the receiver.
    Unreachable,
    /// The connection broke before an answer came, or what came is not HTTP.
    Broken,
    /// No answer came in time.
    Late(Duration),
    /// The receiver answered something else than success. Redirects are not followed.
    Answered(StatusCode),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownHost => f.write_str("the host name of the receiver cannot be resolved"),
            Self::Refused => f.write_str("the receiver refuses connections"),
            Self::Certificate => f.write_str("the certificate of the receiver is not trusted"),
            Self::Tls => f.write_str("TLS with the receiver failed"),
            Self::Unreachable => f.write_str("the receiver cannot be reached"),
            Self::Broken => f.write_str("the connection to the receiver broke"),
            Self::Late(after) => write!(f, "no answer within {} s", after.as_secs()),
            Self::Answered(status) => write!(f, "the receiver answered {}", status.as_u16()),
        }
    }
}

impl SendError {
    /// The class of an error, by what caused it. The error itself may name the address, so that nobody gets to see it.
    fn of(error: &legacy::Error) -> Self {
        let mut cause: Option<&(dyn error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                let is_refused = matches!(error, rustls::Error::InvalidCertificate(_));
                return if is_refused { Self::Certificate } else { Self::Tls };
            }
            // The type of this error is not public.
            if error.to_string() == "dns error" {
                return Self::UnknownHost;
            }
            let by_system = error.downcast_ref::<io::Error>();
            if by_system.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                return Self::Refused;
            }
            // An error of the system passes over the error that it holds, and names the source of that.
            cause = match by_system.and_then(io::Error::get_ref) {
                Some(held) => Some(held),
                None => error.source(),
            };
        }
        if error.is_connect() { Self::Unreachable } else { Self::Broken }
    }
}

impl Webhook {
    /// The receiver of a `[webhook]` table; its files are relative to `folder`.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the key and what is allowed.
    pub fn open(spec: &WebhookSpec, folder: &Path) -> Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(spec.ca_file.as_deref().map(|file| folder.join(file)).as_deref())?)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector),
            url: url(&spec.url)?,
            secrets: secrets(&folder.join(&spec.secret_file))?,
            timeout: Duration::from_secs(spec.timeout_seconds.into()),
        })
    }

    /// Sends an event once. Only a status of success counts; the body of the answer is not read.
    pub(super) async fn send(&self, id: &str, now: Time, body: Vec<u8>) -> Result<Result<(), SendError>> {
        let timestamp = (now.0 / 1_000_000).to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.clone())
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::USER_AGENT, concat!("tally/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", &timestamp)
            .header("webhook-signature", signatures(&self.secrets, id, &timestamp, &body)?)
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| Error::Internal(format!("a request: {error}")))?;
        Ok(match timeout(self.timeout, self.client.request(request)).await {
            Err(_) => Err(SendError::Late(self.timeout)),
            Ok(Err(error)) => Err(SendError::of(&error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(()),
            Ok(Ok(response)) => Err(SendError::Answered(response.status())),
        })
    }
}

/// The signature of a message by each secret, separated by spaces.
fn signatures(secrets: &[Vec<u8>], id: &str, timestamp: &str, body: &[u8]) -> Result<String> {
    let sign = |secret: &Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret)
            .map_err(|_| Error::Internal("a secret does not fit".to_owned()))?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    Ok(secrets.iter().map(sign).collect::<Result<Vec<_>>>()?.join(" "))
}

fn url(text: &str) -> Result<Uri> {
    let allowed = "allowed are https://HOST/PATH, and http://HOST/PATH where HOST is localhost or a loopback address; \
                   without user and password; ports are 1 to 65535";
    let refused = || Error::invalid("webhook.url", format!("is not the URL of a receiver; {allowed}"));
    let url: Uri = text.parse().map_err(|_| refused())?;
    let host = url.host().ok_or_else(refused)?;
    let has_password = url.authority().is_some_and(|authority| authority.as_str().contains('@'));
    let fine = match url.scheme_str() {
        Some("https") => true,
        Some("http") => is_loopback(host),
        _ => false,
    };
    // A port out of its range parses, and is none.
    let has_port = url.authority().is_some_and(|authority| authority.as_str() != host);
    let fine = fine && (!has_port || url.port_u16().is_some_and(|port| port > 0));
    if fine && !has_password { Ok(url) } else { Err(refused()) }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The secrets of a file, one a line.
fn secrets(file: &Path) -> Result<Vec<Vec<u8>>> {
    let refused = |what: String| Error::invalid("webhook.secret_file", format!("{}: {what}", file.display()));
    let text = fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let secret = |(n, line): (usize, &str)| {
        let bytes = line.strip_prefix(SECRET_PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
        bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len())).ok_or_else(|| {
            refused(format!(
                "line {} is not a secret; allowed are whsec_ and 24 to 64 bytes in Base64, one secret a line",
                n + 1
            ))
        })
    };
    let secrets = lines.map(secret).collect::<Result<Vec<_>>>()?;
    if secrets.is_empty() { Err(refused("it has no secret".to_owned())) } else { Ok(secrets) }
}

/// TLS that trusts the authorities of a file, or the public ones.
fn tls(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let refused = |what: &dyn fmt::Display| {
                Error::invalid(
                    "webhook.ca_file",
                    format!("{}: {what}; allowed are certificates as PEM", file.display()),
                )
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| refused(&error))? {
                let certificate = certificate.map_err(|error| refused(&error))?;
                roots.add(certificate).map_err(|error| refused(&error))?;
            }
            if roots.is_empty() {
                return Err(refused(&"it has no certificate"));
            }
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Internal(format!("TLS: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// The example of the libraries of Standard Webhooks, such as libraries/python/tests/test_webhooks.py.
    #[test]
    fn messages_are_signed_as_the_published_example() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let signed = signatures(&[secret], id, timestamp, br#"{"test": 2432232314}"#).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_safe_addresses_are_allowed() {
        for allowed in [
            "https://example.com/hook?key=1",
            "https://10.0.0.1:8443/",
            "http://localhost:9/",
            "http://127.1.2.3/",
            "http://[::1]:80/x",
        ] {
            assert!(url(allowed).is_ok(), "{allowed}");
        }
        for refused in [
            "",
            "example.com",
            "http://example.com/",
            "http://10.0.0.1/",
            "https://user:canary@example.com/",
            "ftp://example.com/",
            "http://localhost.example.com/",
            "https://example.com:99999/",
            "https://example.com:0/",
            "https://example.com:/",
        ] {
            let message = url(refused).unwrap_err().to_string();
            assert!(message.contains("webhook.url") && !message.contains("canary"), "{message}");
        }
    }

    #[test]
    fn a_secret_that_is_none_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            secrets(&file).map(|secrets| secrets.len()).map_err(|error| error.to_string())
        };
        let good = format!("whsec_{}", STANDARD.encode([7; 24]));
        assert_eq!(read(&format!("{good}\n\n  {good}\n")), Ok(2));
        for bad in ["canary", "whsec_canary", &format!("whsec_{}", STANDARD.encode([7; 23])), ""] {
            let message = read(bad).unwrap_err();
            assert!(message.contains("webhook.secret_file") && !message.contains("canary"), "{message}");
        }
    }

    /// What becomes of a try to send to an address.
    async fn sent_to(address: &str) -> Result<(), SendError> {
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls(None).unwrap()).https_or_http();
        let webhook = Webhook {
            client: Client::builder(TokioExecutor::new()).build(connector.enable_http1().build()),
            url: address.parse().unwrap(),
            secrets: vec![vec![7; 24]],
            timeout: Duration::from_secs(60),
        };
        webhook.send("id", Time(0), b"{}".to_vec()).await.unwrap()
    }

    #[tokio::test]
    async fn failures_are_told_apart() {
        // A name that is too long to be one needs no server of names.
        let nobody = format!("http://{}/", "a".repeat(64));
        assert_eq!(sent_to(&nobody).await, Err(SendError::UnknownHost));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // The server answers every connection with bytes that are neither TLS nor HTTP.
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 65_536]).await;
                let _ = stream.write_all(b"hello, this is no server\n").await;
                // What is not read would break the connection before the client has read.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        assert_eq!(sent_to(&format!("https://{address}/")).await, Err(SendError::Tls));
        assert_eq!(sent_to(&format!("http://{address}/")).await, Err(SendError::Broken));
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        assert_eq!(sent_to(&format!("http://{address}/")).await, Err(SendError::Refused));
    }
}
