//! DeploymentService.

use tally_proto::v1::{
    GetDeploymentRequest, GetDeploymentResponse, deployment_service_server::DeploymentService,
};
use tonic::{Request, Response, Status, async_trait};

use crate::deployment::{Deployment, DeploymentSettings};

/// The service.
pub(crate) struct DeploymentRpc {
    pub(crate) deployment: Deployment,
}

#[async_trait]
impl DeploymentService for DeploymentRpc {
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
}
