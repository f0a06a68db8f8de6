//! The server's certificate and the authorities of its clients, by rustls.

use std::{sync::Arc, time::Duration};

use rustls::{
    InconsistentKeys, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tally_model::time::Time;

use super::{
    certificate,
    reload::{FileContent, Reloadable, SettingsFile},
};
use crate::platform::{
    clock::TimeSource,
    error::{Error, Result},
};

/// The files of TLS.
pub struct TlsFiles {
    /// The server's certificate and what leads to its authority, as PEM.
    pub certificate: SettingsFile,
    /// Its key, as PEM.
    pub key: SettingsFile,
    /// The authorities of clients, as PEM, and their lists of revoked certificates. With them, a client of gRPC needs a
    /// certificate.
    pub client_authorities: Option<SettingsFile>,
}

/// What is served on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC: a client needs a certificate when there are authorities of clients.
    Grpc,
    /// Metrics and probes: a client may have one.
    Http,
}

/// How connections are secured.
pub struct Tls {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl Tls {
    /// Reads the files, and again when they change.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names the flag and the file: when a file is not such a file, the key is not that of the
    /// certificate, or the certificate is not valid now.
    pub fn open(files: TlsFiles, time: TimeSource) -> Result<Reloadable<Self>> {
        let files = [files.certificate, files.key].into_iter().chain(files.client_authorities).collect();
        Reloadable::open(files, move |files| match files {
            [certificate, key, clients @ ..] => Self::new(certificate, key, clients.first(), time()),
            _ => Err(Error::Internal("TLS has two files or more".to_owned())),
        })
    }

    fn new(
        certificate: &FileContent<'_>,
        key: &FileContent<'_>,
        clients: Option<&FileContent<'_>>,
        now: Time,
    ) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let certified = Arc::new(certified_key(certificate, key, &provider, now)?);
        let authorities = clients.map(|file| ClientAuthorities::read(file)).transpose()?;
        let verifier = |optional: bool| match (&authorities, clients) {
            (Some(authorities), Some(file)) => authorities.verifier(file, &provider, optional),
            _ => Ok(WebPkiClientVerifier::no_client_auth()),
        };
        let required = verifier(false)?;
        let server = |verifier, protocol: &[u8]| -> Result<Arc<ServerConfig>> {
            let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
                .map_err(|error| Error::Internal(format!("TLS: {error}")))?;
            let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&certified)));
            let mut config = config.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
            config.alpn_protocols = vec![protocol.to_vec()];
            // A resumed session would not show its certificate again. Connections of gRPC are few and long.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(Arc::new(config))
        };
        Ok(Self {
            grpc: server(Arc::clone(&required), b"h2")?,
            http: server(verifier(true)?, b"http/1.1")?,
            clients: authorities.map(|_| required),
        })
    }

    pub(super) fn config(&self, protocol: Protocol) -> Arc<ServerConfig> {
        Arc::clone(match protocol {
            Protocol::Grpc => &self.grpc,
            Protocol::Http => &self.http,
        })
    }

    /// Whether a client's certificate, followed by what leads to its authority, is valid at this moment.
    pub(super) fn trusts(&self, chain: &[CertificateDer<'_>], now: Time) -> bool {
        let (Some(clients), Some((certificate, rest))) = (&self.clients, chain.split_first()) else {
            return false;
        };
        clients.verify_client_cert(certificate, rest, unix_time(now)).is_ok()
    }
}

/// The time as rustls has it, in whole seconds.
pub(super) fn unix_time(time: Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_micros(time.0.unsigned_abs()))
}

fn certified_key(
    certificate: &FileContent<'_>,
    key: &FileContent<'_>,
    provider: &CryptoProvider,
    now: Time,
) -> Result<CertifiedKey> {
    let chain = certificates(certificate)?;
    if let Some((first, rest)) = chain.split_first() {
        certificate::check_validity(first, rest, unix_time(now)).map_err(|what| certificate.invalid(what))?;
    }
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|_| {
        key.invalid(
            "has no private key; allowed is one as PEM, without a passphrase (PKCS #8, PKCS #1 or SEC 1)",
        )
    })?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            key.invalid("is not the key of the certificate of --tls-cert")
        }
        rustls::Error::InvalidCertificate(error) => certificate.invalid(format!("cannot be used: {error}")),
        error => key.invalid(format!("cannot be used: {error}")),
    })
}

fn certificates(file: &FileContent<'_>) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&file.bytes).collect();
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(file.invalid("has no certificate; allowed are certificates as PEM"))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(file.invalid(format!("cannot be read: {error}"))),
    }
}

/// Who signs the certificates of clients, and which of those are revoked.
struct ClientAuthorities {
    roots: Arc<RootCertStore>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
}

impl ClientAuthorities {
    fn read(file: &FileContent<'_>) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|error| file.invalid(format!("cannot be used: {error}")))?;
        }
        let revoked: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&file.bytes).collect();
        let revoked = revoked.map_err(|error| file.invalid(format!("cannot be read: {error}")))?;
        Ok(Self { roots: Arc::new(roots), revoked })
    }

    fn verifier(
        &self,
        file: &FileContent<'_>,
        provider: &Arc<CryptoProvider>,
        optional: bool,
    ) -> Result<Arc<dyn ClientCertVerifier>> {
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::clone(provider))
                .with_crls(self.revoked.iter().cloned())
                .only_check_end_entity_revocation()
                // An authority need not have a list.
                .allow_unknown_revocation_status();
        let builder = if optional { builder.allow_unauthenticated() } else { builder };
        builder.build().map_err(|error| file.invalid(format!("cannot be used: {error}")))
    }
}
