//! DeploymentService.

use std::sync::Arc;

use tally_proto::v1::{
    BackupDatabaseRequest, BackupDatabaseResponse, GetDeploymentRequest, GetDeploymentResponse,
    deployment_service_server::DeploymentService,
};
use tally_store::Store;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::predictions::{Messages, stream};
use crate::{
    backup::DatabaseCopy,
    deployment::{Deployment, DeploymentSettings},
    platform::error::Result,
};

/// The service.
pub(crate) struct DeploymentRpc {
    pub(crate) deployment: Deployment,
    pub(crate) store: Arc<dyn Store>,
}

#[async_trait]
impl DeploymentService for DeploymentRpc {
    type BackupDatabaseStream = ReceiverStream<Result<BackupDatabaseResponse, Status>>;

    async fn get_deployment(
        &self,
        _: Request<GetDeploymentRequest>,
    ) -> Result<Response<GetDeploymentResponse>, Status> {
        let DeploymentSettings { currency, amount_decimals } = self.deployment.settings().await?;
        Ok(Response::new(GetDeploymentResponse {
            currency: currency.unwrap_or_default(),
            amount_decimals: amount_decimals.map(i32::from),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn backup_database(
        &self,
        _: Request<BackupDatabaseRequest>,
    ) -> Result<Response<Self::BackupDatabaseStream>, Status> {
        let copy = DatabaseCopy::make(&*self.store).await?;
        Ok(Response::new(stream(move |messages| async move { send(copy, &messages).await })))
    }
}

/// Sends a copy in parts. A client that has gone ends it.
async fn send(mut copy: DatabaseCopy, messages: &Messages<BackupDatabaseResponse>) -> Result<()> {
    let total_bytes = copy.bytes() as i64;
    while let Some(content) = copy.next().await? {
        if messages.send(Ok(BackupDatabaseResponse { content, total_bytes })).await.is_err() {
            break;
        }
    }
    Ok(())
}
