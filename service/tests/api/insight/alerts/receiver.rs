//! A receiver of webhooks that keeps what it is sent, and answers as it is told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// The bytes of the secret.
pub const SECRET: [u8; 32] = *b"a secret of thirty-two bytes....";

/// How the receiver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With this status.
    Status(u16),
    /// By a redirect to this address.
    Redirect(String),
    /// Never.
    Hang,
}

/// What was sent.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HashMap<String, String>,
    pub body: String,
    pub event: Value,
    pub accepted: bool,
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn customer(&self) -> &str {
        self.event["data"]["customer_id"].as_str().unwrap_or_default()
    }

    /// HMAC-SHA256 as RFC 2104 writes it, over what Standard Webhooks signs.
    pub fn verify(&self) {
        let message = format!("{}.{}.{}", self.id(), self.headers["webhook-timestamp"], self.body);
        let pad = |byte: u8| -> Vec<u8> {
            let key = SECRET.iter().copied().chain(std::iter::repeat(0)).take(64);
            key.map(|key| key ^ byte).collect()
        };
        let inner = Sha256::digest([pad(0x36), message.into_bytes()].concat());
        let mac = Sha256::digest([pad(0x5c), inner.to_vec()].concat());
        assert_eq!(self.headers["webhook-signature"], format!("v1,{}", STANDARD.encode(mac)));
        assert_eq!(self.headers["content-type"], "application/cloudevents+json; charset=utf-8");
    }
}

type Decide = dyn Fn(&Received, usize) -> Answer + Send + Sync;

pub struct Receiver {
    pub address: SocketAddr,
    scheme: &'static str,
    received: Arc<Mutex<Vec<Received>>>,
    folder: TempDir,
}

impl Receiver {
    /// A receiver that answers as `decide` says, by what it was sent and how much it was sent before.
    pub async fn start(decide: impl Fn(&Received, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(decide)).await
    }

    /// A receiver that accepts all, with a certificate for `localhost` that the authority in `ca.pem` has signed.
    pub async fn with_tls() -> Self {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/certificate.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let receiver =
            Self::listen(Some(Arc::new(config).into()), Arc::new(|_, _| Answer::Status(200))).await;
        std::fs::write(receiver.folder().join("ca.pem"), include_bytes!("tls/ca.pem")).unwrap();
        receiver
    }

    async fn listen(tls: Option<TlsAcceptor>, decide: Arc<Decide>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, kept, decide) = (tls.clone(), Arc::clone(&kept), Arc::clone(&decide));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, kept, decide).await,
                        // A client that does not trust the certificate ends here.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, kept, decide).await;
                            }
                        }
                    }
                });
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let secret = format!("whsec_{}\n", STANDARD.encode(SECRET));
        std::fs::write(folder.path().join("secret"), secret).unwrap();
        Self { address, scheme, received, folder }
    }

    /// The `[webhook]` table for this receiver, with a timeout of a second.
    pub fn table(&self) -> String {
        self.patient_table(1)
    }

    /// The same with a timeout of so many seconds.
    pub fn patient_table(&self, seconds: u32) -> String {
        let (scheme, port) = (self.scheme, self.address.port());
        format!(
            "[webhook]\nurl = \"{scheme}://localhost:{port}/hook?key=canary\"\nsecret_file = \"secret\"\n\
             timeout_seconds = {seconds}\n"
        )
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The ids of what was accepted, each customer's in the order in which they were accepted first.
    pub fn accepted(&self) -> HashMap<String, Vec<String>> {
        let mut accepted: HashMap<String, Vec<String>> = HashMap::new();
        for one in self.received().iter().filter(|one| one.accepted) {
            let of_customer = accepted.entry(one.customer().to_owned()).or_default();
            if !of_customer.iter().any(|id| id == one.id()) {
                of_customer.push(one.id().to_owned());
            }
        }
        accepted
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: Arc<Mutex<Vec<Received>>>,
    decide: Arc<Decide>,
) {
    while let Some((headers, body)) = read(&mut stream).await {
        let event = serde_json::from_str(&body).unwrap();
        let mut one = Received { headers, body, event, accepted: false };
        let answer = {
            let mut kept = kept.lock().unwrap();
            let answer = decide(&one, kept.len());
            one.accepted = answer == Answer::Status(200);
            kept.push(one);
            answer
        };
        let text = match answer {
            Answer::Status(status) => format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n"),
            Answer::Redirect(to) => {
                format!("HTTP/1.1 307 There\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
            }
            Answer::Hang => std::future::pending().await,
        };
        // A client that was killed does not read it.
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Reads a request; None when the client has closed the connection.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<(HashMap<String, String>, String)> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    let headers: HashMap<String, String> = text.lines().skip(1).map(header).collect();
    let length: usize = headers["content-length"].parse().unwrap();
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some((headers, String::from_utf8(body).unwrap()))
}
