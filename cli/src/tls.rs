//! How the command connects: encrypted where the URL says https, and with a token or a certificate of its own.

use std::{fs, net::IpAddr, path::Path};

use tonic::{
    Request, Status,
    metadata::AsciiMetadataValue,
    service::Interceptor,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use crate::{args::ServerArgs, error::ClientError, output::remark};

/// Adds the token to each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<AsciiMetadataValue>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Bearer {
    /// The token of the arguments. Warns when it would travel in clear.
    pub(crate) fn of(args: &ServerArgs) -> Result<Self, ClientError> {
        let Some(token) = args.token.as_ref().and_then(|token| token.secret()) else { return Ok(Self(None)) };
        let value = AsciiMetadataValue::try_from(format!("Bearer {token}"));
        let mut value = value.map_err(|_| ClientError::NoToken)?;
        value.set_sensitive(true);
        let uri = args.server.uri();
        if uri.scheme_str() != Some("https") && !uri.host().is_some_and(is_of_this_machine) {
            remark(&format!("warning: {uri} is not encrypted, so that others may read the token on its way"));
        }
        Ok(Self(Some(value)))
    }
}

fn is_of_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The server, with TLS where its URL says https.
pub(crate) fn endpoint(args: &ServerArgs) -> Result<Endpoint, ClientError> {
    let ServerArgs { server, ca, cert, key, .. } = args;
    if server.uri().scheme_str() != Some("https") {
        return match ca.is_some() || cert.is_some() {
            true => Err(ClientError::NotEncrypted(server.uri().to_string())),
            false => Ok(server.clone()),
        };
    }
    let mut tls = match ca {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca", file)?)),
        None => ClientTlsConfig::new().with_webpki_roots(),
    };
    if let (Some(cert), Some(key)) = (cert, key) {
        tls = tls.identity(Identity::from_pem(read("--cert", cert)?, read("--key", key)?));
    }
    server.clone().tls_config(tls).map_err(|error| ClientError::Tls(crate::error::root_cause(&error)))
}

fn read(flag: &'static str, file: &Path) -> Result<Vec<u8>, ClientError> {
    let refused = |why: String| ClientError::CertificateFile { flag, file: file.to_owned(), why };
    let bytes = fs::read(file).map_err(|error| refused(error.to_string()))?;
    match bytes.windows(10).any(|begin| begin == b"-----BEGIN") {
        true => Ok(bytes),
        false => Err(refused("is not PEM".to_owned())),
    }
}
