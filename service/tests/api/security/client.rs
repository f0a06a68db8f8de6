//! A client that calls any RPC with any credentials, with an empty request.

use http::uri::PathAndQuery;
use tonic::{
    Request, Status, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity as ClientIdentity},
};
use tonic_prost::ProstCodec;

use super::pki::Identity;

/// A read that changes nothing.
pub const GET: &str = "/tally.v1.DeploymentService/GetDeployment";

#[derive(Clone)]
pub struct Client(pub Channel);

impl Client {
    /// Connects; with TLS when there is an authority to trust, and maybe a certificate of its own.
    pub async fn connect(address: &str, tls: Option<(&str, Option<&Identity>)>) -> Result<Self, Error> {
        let port = address.rsplit_once(':').unwrap().1;
        let Some((authority, identity)) = tls else {
            return Ok(Self(Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.connect().await?));
        };
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority));
        if let Some(Identity { certificate, key, .. }) = identity {
            config = config.identity(ClientIdentity::from_pem(certificate, key));
        }
        let endpoint = Endpoint::from_shared(format!("https://localhost:{port}"))?.tls_config(config)?;
        Ok(Self(endpoint.connect().await?))
    }

    /// Calls an RPC with these values of `authorization`. Ok means that it was begun.
    pub async fn call(&self, path: &str, authorization: &[&str]) -> Result<Streaming<()>, Status> {
        let mut raw = tonic::client::Grpc::new(self.0.clone());
        raw.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(tokio_stream::iter([()]));
        for value in authorization {
            request.metadata_mut().append("authorization", value.parse().unwrap());
        }
        let path: PathAndQuery = path.parse().unwrap();
        Ok(raw.streaming(request, path, ProstCodec::<(), ()>::default()).await?.into_inner())
    }

    /// Reads with a token.
    ///
    /// It reads to the end of the stream: dropped before, each call is a reset of the client, and after a
    /// thousand of them the client gives its connection up.
    pub async fn get(&self, token: &str) -> Result<(), Status> {
        let mut replies = self.call(GET, &[&format!("Bearer {token}")]).await?;
        assert_eq!(replies.message().await?, Some(()));
        replies.message().await.map(|end| assert_eq!(end, None))
    }
}
