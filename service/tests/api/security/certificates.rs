//! Certificates of clients, and certificates of the server that are replaced while it serves.

use std::{sync::Arc, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    },
};
use tonic::{Code, Status};

use super::{
    Folder, Secured,
    client::{Client, GET},
    pki::{Authority, Identity},
    token_entry,
};
use crate::support::{assert_refused, eventually};

fn certificate_entry(name: &str, san: &str, scopes: &str) -> String {
    format!("[[certificate]]\nname = \"{name}\"\nsan = \"{san}\"\nscopes = [\"{scopes}\"]\n")
}

/// A server whose clients need a certificate: of `crm.internal` and `spiffe://org/batch`, which may read and write.
fn with_client_certificates() -> (Secured, Authority) {
    let clients = Authority::new("clients");
    let (folder, authority) = (Folder::new(), Authority::new("tests"));
    let tokens = [
        certificate_entry("crm", "crm.internal", "read"),
        certificate_entry("batch", "spiffe://org/batch", "write"),
        token_entry("reader", "tally_reader", "read", ""),
    ];
    let tokens = folder.write("tokens.toml", tokens.concat());
    let ca = folder.write("clients.pem", format!("{}{}", clients.pem, clients.revoke(77)));
    let identity = authority.server();
    let certificate = folder.write("cert.pem", identity.certificate);
    let key = folder.write("key.pem", identity.key);
    let arguments =
        ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca, "--tokens", &tokens];
    (Secured::start(folder, authority, &arguments, true), clients)
}

/// Reads with a certificate, and maybe a token.
async fn read(server: &Secured, identity: Option<&Identity>, token: &[&str]) -> Result<(), Status> {
    let tls = Some((server.authority.pem.as_str(), identity));
    let client = Client::connect(&server.process.address, tls).await;
    let client = client.map_err(|error| Status::from_error(error.into()))?;
    client.call(GET, token).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_a_client_is_checked_and_gives_the_scopes_of_its_entry() {
    let (server, clients) = with_client_certificates();
    let crm = clients.sign(&["other.internal", "crm.internal"], 2, 2099);
    read(&server, Some(&crm), &[]).await.unwrap();
    // No name of the certificate has an entry; a token counts all the same, as behind a proxy.
    let nobody = clients.sign(&["nobody.internal"], 3, 2099);
    assert_refused(
        read(&server, Some(&nobody), &[]).await,
        Code::PermissionDenied,
        "UNKNOWN_CERTIFICATE",
        &[],
    );
    read(&server, Some(&nobody), &["Bearer tally_reader"]).await.unwrap();
    let wrong = read(&server, Some(&crm), &["Bearer tally_wrong"]).await;
    assert_refused(wrong, Code::Unauthenticated, "INVALID_CREDENTIALS", &[]);
    // A URI is a name as well, and this one may write only.
    let batch = clients.sign(&["spiffe://org/batch"], 4, 2099);
    assert_refused(read(&server, Some(&batch), &[]).await, Code::PermissionDenied, "MISSING_SCOPE", &[]);
    // What the handshake refuses is no call at all.
    let other = Authority::new("clients").sign(&["crm.internal"], 2, 2099);
    let expired = clients.sign(&["crm.internal"], 5, 2021);
    let revoked = clients.sign(&["crm.internal"], 77, 2099);
    for (what, identity) in [
        ("none", None),
        ("of others", Some(&other)),
        ("expired", Some(&expired)),
        ("revoked", Some(&revoked)),
    ] {
        let refused = read(&server, identity, &["Bearer tally_reader"]).await.unwrap_err();
        assert!(std::error::Error::source(&refused).is_some(), "{what}: {refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_revoked_ends_an_open_connection_too() {
    let (server, clients) = with_client_certificates();
    let crm = clients.sign(&["crm.internal"], 2, 2099);
    let tls = Some((server.authority.pem.as_str(), Some(&crm)));
    let client = Client::connect(&server.process.address, tls).await.unwrap();
    client.call(GET, &[]).await.unwrap();
    server.folder.write("clients.pem", format!("{}{}", clients.pem, clients.revoke(crm.serial)));
    eventually(async || client.call(GET, &[]).await.is_err()).await;
    assert_refused(client.call(GET, &[]).await.map(drop), Code::Unauthenticated, "EXPIRED_CREDENTIALS", &[]);
    assert!(read(&server, Some(&crm), &[]).await.is_err());
}

/// An encrypted connection on which nothing has been said.
async fn encrypted(server: &Secured) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.authority.pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(&server.process.address).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// The certificate that a server shows on a new connection.
async fn shown(server: &Secured) -> CertificateDer<'static> {
    encrypted(server).await.get_ref().1.peer_certificates().unwrap()[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_certificate_of_the_server_is_replaced_under_load_without_a_failed_call() {
    let server = Secured::with_tls(&token_entry("reader", "tally_reader", "read", ""), &[]);
    let kept = server.client().await;
    let before = shown(&server).await;
    let next = server.authority.sign(&["localhost"], 9, 2099);
    let expected = CertificateDer::from_pem_slice(next.certificate.as_bytes()).unwrap();
    // The two files are never replaced at the same moment, and nothing fails in between.
    server.folder.write("cert.pem", &next.certificate);
    for _ in 0..20 {
        server.client().await.get("tally_reader").await.unwrap();
        kept.get("tally_reader").await.unwrap();
    }
    assert_eq!(shown(&server).await, before);
    server.folder.write("key.pem", &next.key);
    eventually(async || {
        server.client().await.get("tally_reader").await.unwrap();
        kept.get("tally_reader").await.unwrap();
        shown(&server).await == expected
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_nothing_after_its_handshake_is_disconnected() {
    let server = Secured::with_tls(&token_entry("reader", "tally_reader", "read", ""), &[]);
    let mut silent = encrypted(&server).await;
    // What the server says first, and then the end.
    let mut said = Vec::new();
    let closed = timeout(Duration::from_secs(60), silent.read_to_end(&mut said)).await;
    assert!(closed.is_ok(), "it is closed within a minute");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_finish_a_handshake_hold_up_nobody() {
    let server = Secured::with_tls(&token_entry("reader", "tally_reader", "read", ""), &[]);
    let connect = || TcpStream::connect(&server.process.address);
    let silent = futures_util::future::join_all((0..200).map(|_| connect())).await;
    assert!(silent.iter().all(Result::is_ok));
    server.client().await.get("tally_reader").await.unwrap();
    // Without TLS nothing is answered but an alert.
    let plain = Client::connect(&server.process.address, None).await;
    let called = match plain {
        Ok(client) => client.get("tally_reader").await.is_ok(),
        Err(_) => false,
    };
    assert!(!called);
}
