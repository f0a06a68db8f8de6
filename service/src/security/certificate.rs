//! What a certificate says of itself.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, UnixTime};
use tally_model::time::Time;
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage};

use super::tls::Tls;

/// For how long a certificate that was valid is taken to be so, in microseconds.
const TRUSTED_FOR: i64 = 60_000_000;

/// The certificate that the client of a connection has shown, and that was valid then.
pub struct PeerCertificate {
    /// The certificate and what leads to its authority.
    chain: Vec<CertificateDer<'static>>,
    /// The DNS names and URIs for which it was made (subject alternative names).
    names: Vec<String>,
    /// By which settings it was last found valid, and when.
    checked: Mutex<Option<(Arc<Tls>, Time)>>,
}

impl PeerCertificate {
    /// The certificate of a handshake that succeeded.
    pub(super) fn new(chain: &[CertificateDer<'_>]) -> Self {
        let certificate = chain.first().and_then(|first| EndEntityCert::try_from(first).ok());
        let names = certificate.iter().flat_map(|certificate| {
            certificate.valid_dns_names().chain(certificate.valid_uri_names()).map(str::to_owned)
        });
        Self {
            names: names.collect(),
            chain: chain.iter().map(|certificate| certificate.clone().into_owned()).collect(),
            checked: Mutex::new(None),
        }
    }

    /// The DNS names and URIs for which it was made.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether it is valid: neither expired nor revoked, and signed by an authority of now. A connection may outlast
    /// all of that, so it is checked again after a minute and when the settings have changed.
    pub(super) fn is_valid(&self, tls: Arc<Tls>, now: Time) -> bool {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = checked.as_ref().is_some_and(|(by, at)| {
            Arc::ptr_eq(by, &tls) && (at.0..at.0.saturating_add(TRUSTED_FOR)).contains(&now.0)
        });
        if !lately {
            let valid = tls.trusts(&self.chain, now);
            *checked = valid.then_some((tls, now));
        }
        checked.is_some()
    }
}

/// Checks the validity of the server's own certificate, so that clients do not have to find out.
pub(super) fn check_validity(
    certificate: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), String> {
    let parsed = EndEntityCert::try_from(certificate)
        .map_err(|error| format!("is no certificate that clients take: {error}"))?;
    // Without an authority only what the certificate itself says can be found wrong.
    let verified =
        parsed.verify_for_usage(ALL_VERIFICATION_ALGS, &[], rest, now, KeyUsage::server_auth(), None, None);
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => {
            Err(format!("has expired, at {}", moment(not_after)))
        }
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Err(format!("is not valid before {}", moment(not_before)))
        }
        _ => Ok(()),
    }
}

fn moment(time: UnixTime) -> Time {
    Time(i64::try_from(time.as_secs()).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}
