//! The pass, and the facts of one customer.

use tally_proto::v1::{
    CustomerInsight, GetCustomerInsightRequest, RefreshInsightsRequest, RefreshInsightsResponse,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::InsightRpc;

/// RefreshInsights.
pub(super) fn refresh(
    _rpc: &InsightRpc,
    _request: &RefreshInsightsRequest,
) -> Result<ReceiverStream<Result<RefreshInsightsResponse, Status>>, Status> {
    Err(Status::unimplemented(""))
}

/// GetCustomerInsight.
pub(super) async fn customer(
    _rpc: &InsightRpc,
    _request: GetCustomerInsightRequest,
) -> Result<CustomerInsight, Status> {
    Err(Status::unimplemented(""))
}
