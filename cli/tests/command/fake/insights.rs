//! What the small server replies about customers.

use std::pin::Pin;

use futures_util::{Stream, stream};
use tally_proto::v1::{
    AcknowledgeAlertRequest, AcknowledgeAlertResponse, Affinity, Alert, CustomerInsight, Episode,
    GetActionEffectRequest, GetActionEffectResponse, GetCampaignsRequest, GetCampaignsResponse,
    GetCohortsRequest, GetCohortsResponse, GetCustomerInsightRequest, GetForecastRequest,
    GetForecastResponse, GetKpisRequest, GetKpisResponse, GetSalesReportRequest, GetSalesReportResponse,
    GetValueModelRequest, InsightServiceListAttributesRequest, InsightServiceListAttributesResponse,
    ListAffinitiesRequest, ListAffinitiesResponse, ListAlertsRequest, ListAlertsResponse,
    ListEpisodesRequest, ListEpisodesResponse, ListJobsRequest, ListJobsResponse, ListSegmentMembersRequest,
    ListSegmentMembersResponse, ListSegmentsRequest, ListSegmentsResponse, ListWorklistRequest,
    ListWorklistResponse, PublishWorklistRequest, PublishWorklistResponse, RecordActionOutcomeRequest,
    RecordActionOutcomeResponse, RefreshInsightsRequest, RefreshInsightsResponse, SegmentMember, ValueModel,
    WatchAlertsRequest, WatchAlertsResponse, WorkItem, insight_service_server::InsightService,
};
use tonic::{Request, Response, Status, async_trait};

use super::FakeServer;

/// A request about customers.
#[derive(Clone, Debug, PartialEq)]
pub enum InsightRequest {
    Refresh(RefreshInsightsRequest),
    Customer(GetCustomerInsightRequest),
    Attributes(InsightServiceListAttributesRequest),
    Segments(ListSegmentsRequest),
    Members(ListSegmentMembersRequest),
    Kpis(GetKpisRequest),
    Sales(GetSalesReportRequest),
    Cohorts(GetCohortsRequest),
    Campaigns(GetCampaignsRequest),
    Value(GetValueModelRequest),
    Affinities(ListAffinitiesRequest),
    Jobs(ListJobsRequest),
    Worklist(ListWorklistRequest),
    Publish(PublishWorklistRequest),
    Outcome(RecordActionOutcomeRequest),
    Episodes(ListEpisodesRequest),
    Effect(GetActionEffectRequest),
    Forecast(GetForecastRequest),
    Alerts(ListAlertsRequest),
    Acknowledge(AcknowledgeAlertRequest),
    Watch(WatchAlertsRequest),
}

/// The replies that are not empty.
#[derive(Clone, Default)]
pub struct InsightReplies {
    /// The messages of a refresh.
    pub refresh: Vec<RefreshInsightsResponse>,
    /// How many customers a segment has.
    pub members: i64,
    /// How many items the worklist has.
    pub work: i64,
}

impl FakeServer {
    fn insights(&self, request: InsightRequest) -> Result<InsightReplies, Status> {
        self.0.lock().unwrap().insights.push(request);
        Ok(self.knowledge()?.insights)
    }
}

#[async_trait]
impl InsightService for FakeServer {
    type WatchAlertsStream = Pin<Box<dyn Stream<Item = Result<WatchAlertsResponse, Status>> + Send>>;
    type RefreshInsightsStream = Pin<Box<dyn Stream<Item = Result<RefreshInsightsResponse, Status>> + Send>>;

    async fn refresh_insights(
        &self,
        request: Request<RefreshInsightsRequest>,
    ) -> Result<Response<Self::RefreshInsightsStream>, Status> {
        let replies = self.insights(InsightRequest::Refresh(request.into_inner()))?.refresh;
        Ok(Response::new(Box::pin(stream::iter(replies.into_iter().map(Ok)))))
    }

    async fn get_customer_insight(
        &self,
        request: Request<GetCustomerInsightRequest>,
    ) -> Result<Response<CustomerInsight>, Status> {
        let request = request.into_inner();
        let customer_id = request.customer_id.clone();
        self.insights(InsightRequest::Customer(request))?;
        if customer_id == "nobody" {
            return Err(Status::not_found("no customer `nobody` is stored"));
        }
        Ok(Response::new(CustomerInsight { customer_id, ..Default::default() }))
    }

    async fn list_attributes(
        &self,
        request: Request<InsightServiceListAttributesRequest>,
    ) -> Result<Response<InsightServiceListAttributesResponse>, Status> {
        self.insights(InsightRequest::Attributes(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_segments(
        &self,
        request: Request<ListSegmentsRequest>,
    ) -> Result<Response<ListSegmentsResponse>, Status> {
        self.insights(InsightRequest::Segments(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_segment_members(
        &self,
        request: Request<ListSegmentMembersRequest>,
    ) -> Result<Response<ListSegmentMembersResponse>, Status> {
        let request = request.into_inner();
        let first: i64 = request.page_token.parse().unwrap_or_default();
        let (page_size, as_of_time) = (i64::from(request.page_size), request.as_of_time);
        let total_size = self.insights(InsightRequest::Members(request))?.members;
        let end = (first + page_size).min(total_size);
        let one = |n: i64| SegmentMember { customer_id: format!("C{n}"), ..Default::default() };
        let next_page_token = if end < total_size { end.to_string() } else { String::new() };
        let members = (first..end).map(one).collect();
        Ok(Response::new(ListSegmentMembersResponse {
            members,
            next_page_token,
            total_size,
            as_of_time,
            ..Default::default()
        }))
    }

    async fn get_kpis(&self, request: Request<GetKpisRequest>) -> Result<Response<GetKpisResponse>, Status> {
        self.insights(InsightRequest::Kpis(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn get_sales_report(
        &self,
        request: Request<GetSalesReportRequest>,
    ) -> Result<Response<GetSalesReportResponse>, Status> {
        self.insights(InsightRequest::Sales(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn get_cohorts(
        &self,
        request: Request<GetCohortsRequest>,
    ) -> Result<Response<GetCohortsResponse>, Status> {
        self.insights(InsightRequest::Cohorts(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn get_campaigns(
        &self,
        request: Request<GetCampaignsRequest>,
    ) -> Result<Response<GetCampaignsResponse>, Status> {
        self.insights(InsightRequest::Campaigns(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn get_value_model(
        &self,
        request: Request<GetValueModelRequest>,
    ) -> Result<Response<ValueModel>, Status> {
        self.insights(InsightRequest::Value(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_affinities(
        &self,
        request: Request<ListAffinitiesRequest>,
    ) -> Result<Response<ListAffinitiesResponse>, Status> {
        let request = request.into_inner();
        // Two pages of one.
        let (property, is_first) = (request.property.clone(), request.page_token.is_empty());
        self.insights(InsightRequest::Affinities(request))?;
        let from_value = if is_first { "tea" } else { "cups" }.to_owned();
        Ok(Response::new(ListAffinitiesResponse {
            affinities: vec![Affinity { from_value, ..Default::default() }],
            next_page_token: if is_first { "2".to_owned() } else { String::new() },
            total_size: 2,
            property,
            ..Default::default()
        }))
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        self.insights(InsightRequest::Jobs(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_worklist(
        &self,
        request: Request<ListWorklistRequest>,
    ) -> Result<Response<ListWorklistResponse>, Status> {
        let request = request.into_inner();
        let first: i64 = request.page_token.parse().unwrap_or_default();
        let (page_size, as_of_time) = (i64::from(request.page_size), request.as_of_time);
        let total_size = self.insights(InsightRequest::Worklist(request))?.work;
        let end = (first + page_size).min(total_size);
        let one = |n: i64| WorkItem { customer_id: format!("C{n}"), ..Default::default() };
        let next_page_token = if end < total_size { end.to_string() } else { String::new() };
        let items = (first..end).map(one).collect();
        let response =
            ListWorklistResponse { items, next_page_token, total_size, as_of_time, ..Default::default() };
        Ok(Response::new(response))
    }

    async fn publish_worklist(
        &self,
        request: Request<PublishWorklistRequest>,
    ) -> Result<Response<PublishWorklistResponse>, Status> {
        self.insights(InsightRequest::Publish(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn record_action_outcome(
        &self,
        request: Request<RecordActionOutcomeRequest>,
    ) -> Result<Response<RecordActionOutcomeResponse>, Status> {
        self.insights(InsightRequest::Outcome(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_episodes(
        &self,
        request: Request<ListEpisodesRequest>,
    ) -> Result<Response<ListEpisodesResponse>, Status> {
        let request = request.into_inner();
        // Two pages of one.
        let is_first = request.page_token.is_empty();
        self.insights(InsightRequest::Episodes(request))?;
        let customer_id = if is_first { "C1" } else { "C2" }.to_owned();
        Ok(Response::new(ListEpisodesResponse {
            episodes: vec![Episode { customer_id, ..Default::default() }],
            next_page_token: if is_first { "2".to_owned() } else { String::new() },
            total_size: 2,
        }))
    }

    async fn get_action_effect(
        &self,
        request: Request<GetActionEffectRequest>,
    ) -> Result<Response<GetActionEffectResponse>, Status> {
        self.insights(InsightRequest::Effect(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn get_forecast(
        &self,
        request: Request<GetForecastRequest>,
    ) -> Result<Response<GetForecastResponse>, Status> {
        self.insights(InsightRequest::Forecast(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        self.insights(InsightRequest::Alerts(request.into_inner()))?;
        Ok(Response::new(Default::default()))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<AcknowledgeAlertRequest>,
    ) -> Result<Response<AcknowledgeAlertResponse>, Status> {
        let AcknowledgeAlertRequest { alert_id, who, note } = request.into_inner();
        let alert = Alert {
            alert_id: alert_id.clone(),
            acknowledged_by: "ada@desk".into(),
            note: note.clone(),
            ..Default::default()
        };
        self.insights(InsightRequest::Acknowledge(AcknowledgeAlertRequest { alert_id, who, note }))?;
        Ok(Response::new(AcknowledgeAlertResponse { alert: Some(alert) }))
    }

    async fn watch_alerts(
        &self,
        request: Request<WatchAlertsRequest>,
    ) -> Result<Response<Self::WatchAlertsStream>, Status> {
        self.insights(InsightRequest::Watch(request.into_inner()))?;
        let message = WatchAlertsResponse {
            alert: Some(Alert {
                rule: "hot lead".into(),
                customer_id: "C1".into(),
                message: "it became A".into(),
                ..Default::default()
            }),
            cursor: "CURSOR".into(),
        };
        Ok(Response::new(Box::pin(stream::iter([Ok(message)]))))
    }
}
