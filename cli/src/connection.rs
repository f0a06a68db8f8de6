//! The connection to the server, with a client for each service.

use std::time::Duration;

use tally_proto::v1::{
    customer_service_client::CustomerServiceClient, deployment_service_client::DeploymentServiceClient,
    insight_service_client::InsightServiceClient, interaction_service_client::InteractionServiceClient,
    model_service_client::ModelServiceClient, prediction_service_client::PredictionServiceClient,
    scoring_service_client::ScoringServiceClient,
};
use tonic::{Status, service::interceptor::InterceptedService, transport::Channel};

use crate::{
    args::ServerArgs,
    error::{ClientError, root_cause},
    tls::{self, Bearer},
};

/// Replies are larger than requests: ten thousand scores, each with all its reasons.
const REPLY_BYTES: usize = 1 << 30;

/// What calls go through.
type Transport = InterceptedService<Channel, Bearer>;

/// An open connection to a server.
pub(crate) struct Connection {
    url: String,
    channel: Transport,
}

impl Connection {
    pub(crate) async fn open(args: &ServerArgs) -> Result<Self, ClientError> {
        let bearer = Bearer::of(args)?;
        let endpoint = tls::endpoint(args)?;
        let url = endpoint.uri().to_string().trim_end_matches('/').to_owned();
        // The pings detect a server that vanishes without closing the connection during a long call.
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(10))
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        match endpoint.connect().await {
            Ok(channel) => Ok(Self { url, channel: InterceptedService::new(channel, bearer) }),
            Err(error) => Err(ClientError::Unreachable { url, why: root_cause(&error) }),
        }
    }

    /// The error of a failed call.
    pub(crate) fn error(&self, status: &Status) -> ClientError {
        ClientError::of_call(&self.url, status)
    }

    pub(crate) fn customers(&self) -> CustomerServiceClient<Transport> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn interactions(&self) -> InteractionServiceClient<Transport> {
        InteractionServiceClient::new(self.channel.clone())
    }

    pub(crate) fn scoring(&self) -> ScoringServiceClient<Transport> {
        ScoringServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }

    pub(crate) fn predictions(&self) -> PredictionServiceClient<Transport> {
        PredictionServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }

    pub(crate) fn deployment(&self) -> DeploymentServiceClient<Transport> {
        DeploymentServiceClient::new(self.channel.clone())
    }

    pub(crate) fn insights(&self) -> InsightServiceClient<Transport> {
        InsightServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }

    pub(crate) fn models(&self) -> ModelServiceClient<Transport> {
        ModelServiceClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES)
    }
}
