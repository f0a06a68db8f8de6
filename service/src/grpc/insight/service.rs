//! The RPCs of InsightService.

use std::sync::Arc;

use tally_proto::v1::{
    AcknowledgeAlertRequest, AcknowledgeAlertResponse, CustomerInsight, GetActionEffectRequest,
    GetActionEffectResponse, GetCampaignsRequest, GetCampaignsResponse, GetCohortsRequest,
    GetCohortsResponse, GetCustomerInsightRequest, GetForecastRequest, GetForecastResponse, GetKpisRequest,
    GetKpisResponse, GetSalesReportRequest, GetSalesReportResponse, GetValueModelRequest,
    InsightServiceListAttributesRequest, InsightServiceListAttributesResponse, ListAffinitiesRequest,
    ListAffinitiesResponse, ListAlertsRequest, ListAlertsResponse, ListEpisodesRequest, ListEpisodesResponse,
    ListJobsRequest, ListJobsResponse, ListSegmentMembersRequest, ListSegmentMembersResponse,
    ListSegmentsRequest, ListSegmentsResponse, ListWorklistRequest, ListWorklistResponse,
    PublishWorklistRequest, PublishWorklistResponse, RecordActionOutcomeRequest, RecordActionOutcomeResponse,
    RefreshInsightsRequest, RefreshInsightsResponse, ValueModel, WatchAlertsRequest, WatchAlertsResponse,
    insight_service_server::InsightService,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{affinities, alerts, episodes, facts, forecast, jobs, kpis, reports, segments, value, worklist};
use crate::{
    grpc::page_token::PageTokens,
    insight::{Alerts, Insights},
    jobs::JobList,
    platform::clock::Clock,
    security::AuditLog,
};

/// The service.
pub(crate) struct InsightRpc {
    pub(crate) insights: Insights,
    pub(crate) jobs: JobList,
    pub(crate) alerts: Alerts,
    pub(crate) page_tokens: PageTokens,
    pub(crate) audit: AuditLog,
    pub(crate) clock: Arc<Clock>,
}

#[async_trait]
impl InsightService for InsightRpc {
    type RefreshInsightsStream = ReceiverStream<Result<RefreshInsightsResponse, Status>>;
    type WatchAlertsStream = ReceiverStream<Result<WatchAlertsResponse, Status>>;

    async fn refresh_insights(
        &self,
        request: Request<RefreshInsightsRequest>,
    ) -> Result<Response<Self::RefreshInsightsStream>, Status> {
        facts::refresh(self, &request).await.map(Response::new)
    }

    async fn get_customer_insight(
        &self,
        request: Request<GetCustomerInsightRequest>,
    ) -> Result<Response<CustomerInsight>, Status> {
        facts::customer(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_attributes(
        &self,
        request: Request<InsightServiceListAttributesRequest>,
    ) -> Result<Response<InsightServiceListAttributesResponse>, Status> {
        segments::attributes(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        segments::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_segment_members(
        &self,
        request: Request<ListSegmentMembersRequest>,
    ) -> Result<Response<ListSegmentMembersResponse>, Status> {
        segments::members(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_kpis(&self, request: Request<GetKpisRequest>) -> Result<Response<GetKpisResponse>, Status> {
        kpis::kpis(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_sales_report(
        &self,
        request: Request<GetSalesReportRequest>,
    ) -> Result<Response<GetSalesReportResponse>, Status> {
        reports::sales(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_cohorts(
        &self,
        request: Request<GetCohortsRequest>,
    ) -> Result<Response<GetCohortsResponse>, Status> {
        reports::cohorts(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_campaigns(
        &self,
        request: Request<GetCampaignsRequest>,
    ) -> Result<Response<GetCampaignsResponse>, Status> {
        reports::campaigns(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_value_model(
        &self,
        request: Request<GetValueModelRequest>,
    ) -> Result<Response<ValueModel>, Status> {
        value::value_model(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_affinities(
        &self,
        request: Request<ListAffinitiesRequest>,
    ) -> Result<Response<ListAffinitiesResponse>, Status> {
        affinities::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        jobs::list(self, &request.into_inner()).await.map(Response::new)
    }

    async fn list_worklist(
        &self,
        request: Request<ListWorklistRequest>,
    ) -> Result<Response<ListWorklistResponse>, Status> {
        worklist::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn publish_worklist(
        &self,
        request: Request<PublishWorklistRequest>,
    ) -> Result<Response<PublishWorklistResponse>, Status> {
        worklist::publish(self, request).await.map(Response::new)
    }

    async fn record_action_outcome(
        &self,
        request: Request<RecordActionOutcomeRequest>,
    ) -> Result<Response<RecordActionOutcomeResponse>, Status> {
        worklist::outcome(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_action_effect(
        &self,
        request: Request<GetActionEffectRequest>,
    ) -> Result<Response<GetActionEffectResponse>, Status> {
        worklist::effect(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_episodes(
        &self,
        request: Request<ListEpisodesRequest>,
    ) -> Result<Response<ListEpisodesResponse>, Status> {
        episodes::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn get_forecast(
        &self,
        request: Request<GetForecastRequest>,
    ) -> Result<Response<GetForecastResponse>, Status> {
        forecast::forecast(self, request.into_inner()).await.map(Response::new)
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        alerts::list(self, request.into_inner()).await.map(Response::new)
    }

    async fn acknowledge_alert(
        &self,
        request: Request<AcknowledgeAlertRequest>,
    ) -> Result<Response<AcknowledgeAlertResponse>, Status> {
        alerts::acknowledge(self, request).await.map(Response::new)
    }

    async fn watch_alerts(
        &self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        alerts::watch(self, request.into_inner()).await.map(Response::new)
    }
}
