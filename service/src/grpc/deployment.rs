//! DeploymentService.

use std::sync::Arc;

use tally_proto::v1::{
    BackupDatabaseRequest, BackupDatabaseResponse, GetDeploymentRequest, GetDeploymentResponse,
    ListAuditEventsRequest, ListAuditEventsResponse, deployment_service_server::DeploymentService,
};
use tally_store::Store;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{
    audit,
    caller::actor,
    page_token::PageTokens,
    predictions::{Messages, stream},
};
use crate::{
    backup::{BACKUP, DatabaseCopy},
    deployment::{Deployment, DeploymentSettings},
    platform::{clock::Clock, error::Result},
    security::AuditLog,
};

/// The service.
pub(crate) struct DeploymentRpc {
    pub(crate) deployment: Deployment,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) audit: AuditLog,
    pub(crate) page_tokens: PageTokens,
    pub(crate) clock: Arc<Clock>,
    /// The definitions of insight and the rules of early warning, as TOML.
    pub(crate) settings: [String; 2],
}

#[async_trait]
impl DeploymentService for DeploymentRpc {
    type BackupDatabaseStream = ReceiverStream<Result<BackupDatabaseResponse, Status>>;

    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        audit::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_deployment(
        &self,
        _: Request<GetDeploymentRequest>,
    ) -> Result<Response<GetDeploymentResponse>, Status> {
        let DeploymentSettings { currency, amount_decimals } = self.deployment.settings().await?;
        let [insight_settings, alert_rules] = self.settings.clone();
        Ok(Response::new(GetDeploymentResponse {
            currency: currency.unwrap_or_default(),
            amount_decimals: amount_decimals.map(i32::from),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            insight_settings,
            alert_rules,
        }))
    }

    async fn backup_database(
        &self,
        request: Request<BackupDatabaseRequest>,
    ) -> Result<Response<Self::BackupDatabaseStream>, Status> {
        let copy = DatabaseCopy::make(&*self.store).await?;
        self.audit.note(self.audit.done(&actor(&request, ""), BACKUP)).await?;
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
