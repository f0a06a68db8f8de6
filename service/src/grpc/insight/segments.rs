//! Segments, their members, and the attributes of customers.

use tally_proto::v1::{
    InsightServiceListAttributesRequest, InsightServiceListAttributesResponse, ListSegmentMembersRequest,
    ListSegmentMembersResponse, ListSegmentsRequest, ListSegmentsResponse,
};
use tonic::Status;

use super::InsightRpc;

/// ListSegments.
pub(super) async fn list(
    _rpc: &InsightRpc,
    _request: ListSegmentsRequest,
) -> Result<ListSegmentsResponse, Status> {
    Err(Status::unimplemented(""))
}

/// ListSegmentMembers.
pub(super) async fn members(
    _rpc: &InsightRpc,
    _request: ListSegmentMembersRequest,
) -> Result<ListSegmentMembersResponse, Status> {
    Err(Status::unimplemented(""))
}

/// ListAttributes.
pub(super) async fn attributes(
    _rpc: &InsightRpc,
    _request: InsightServiceListAttributesRequest,
) -> Result<InsightServiceListAttributesResponse, Status> {
    Err(Status::unimplemented(""))
}
