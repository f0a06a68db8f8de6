//! Key figures.

use tally_proto::v1::{GetKpisRequest, GetKpisResponse};
use tonic::Status;

use super::InsightRpc;

/// GetKpis.
pub(super) async fn kpis(_rpc: &InsightRpc, _request: GetKpisRequest) -> Result<GetKpisResponse, Status> {
    Err(Status::unimplemented(""))
}
