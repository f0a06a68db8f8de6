//! Insight: facts, segments, key figures and reports.

mod affinities;
mod agreements;
mod alerts;
mod campaigns;
mod cohorts;
mod dimensions;
mod facts;
mod forecast;
mod kpis;
mod long_texts;
mod passes;
mod predictions;
mod reference;
mod report_limits;
mod report_requests;
mod reports_agree;
mod sales;
mod segments;
mod value;
mod views;
mod warnings;
mod worked_example;
mod worklist;

use tally_proto::v1;
use tonic::Status;

use crate::support::{Tally, interaction, time, timestamp};

/// The moment of most passes.
const AS_OF: &str = "2024-06-01T00:00:00Z";

/// An interaction with an amount.
fn paid(customer: &str, id: &str, kind: &str, occurred: &str, amount_minor: i64) -> v1::Interaction {
    v1::Interaction { amount_minor: Some(amount_minor), ..interaction(customer, id, kind, occurred) }
}

/// An interaction with properties.
fn with_properties(
    customer: &str,
    id: &str,
    kind: &str,
    occurred: &str,
    properties: &[(&str, &str)],
) -> v1::Interaction {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    v1::Interaction {
        properties: properties.iter().map(own).collect(),
        ..interaction(customer, id, kind, occurred)
    }
}

impl Tally {
    /// Makes a pass and returns the last message.
    async fn refresh_insights(&self, as_of: &str) -> Result<v1::RefreshInsightsResponse, Status> {
        let request = v1::RefreshInsightsRequest { as_of_time: Some(timestamp(time(as_of))) };
        let mut messages = self.insights().refresh_insights(request).await?.into_inner();
        let mut last = None;
        while let Some(message) = messages.message().await? {
            last = Some(message);
        }
        Ok(last.unwrap())
    }

    /// The segments at a moment; None for the latest pass.
    async fn segments(&self, segmentation: &str, as_of: Option<&str>) -> v1::ListSegmentsResponse {
        let request = v1::ListSegmentsRequest {
            segmentation: segmentation.to_owned(),
            as_of_time: as_of.map(|as_of| timestamp(time(as_of))),
            compare_to_time: None,
        };
        self.insights().list_segments(request).await.unwrap().into_inner()
    }

    /// The names and sizes of the segments that have customers.
    async fn sizes(&self, segmentation: &str, as_of: Option<&str>) -> Vec<(String, i64)> {
        let segments = self.segments(segmentation, as_of).await.segments.into_iter();
        segments.filter(|found| found.customers > 0).map(|found| (found.segment, found.customers)).collect()
    }

    /// What is known of a customer.
    async fn insight(&self, customer_id: &str, as_of: &str) -> Result<v1::CustomerInsight, Status> {
        let request = v1::GetCustomerInsightRequest {
            customer_id: customer_id.to_owned(),
            as_of_time: Some(timestamp(time(as_of))),
        };
        self.insights().get_customer_insight(request).await.map(tonic::Response::into_inner)
    }
}
