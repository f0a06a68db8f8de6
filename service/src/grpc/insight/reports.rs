//! Sales, cohorts and campaigns.

use tally_proto::v1::{
    GetCampaignsRequest, GetCampaignsResponse, GetCohortsRequest, GetCohortsResponse, GetSalesReportRequest,
    GetSalesReportResponse,
};
use tonic::Status;

use super::InsightRpc;

/// GetSalesReport.
pub(super) async fn sales(
    _rpc: &InsightRpc,
    _request: GetSalesReportRequest,
) -> Result<GetSalesReportResponse, Status> {
    Err(Status::unimplemented(""))
}

/// GetCohorts.
pub(super) async fn cohorts(
    _rpc: &InsightRpc,
    _request: GetCohortsRequest,
) -> Result<GetCohortsResponse, Status> {
    Err(Status::unimplemented(""))
}

/// GetCampaigns.
pub(super) async fn campaigns(
    _rpc: &InsightRpc,
    _request: GetCampaignsRequest,
) -> Result<GetCampaignsResponse, Status> {
    Err(Status::unimplemented(""))
}
