//! Requests of reports, made short.

use tally_proto::v1::{self, Period};
use tonic::Status;

use crate::support::{Tally, interaction, time, timestamp};

/// A purchase or another interaction with an amount.
pub fn sale(customer: &str, id: &str, kind: &str, occurred: &str, amount: i64) -> v1::Interaction {
    v1::Interaction { amount_minor: Some(amount), ..interaction(customer, id, kind, occurred) }
}

/// An interaction with a property more.
pub fn with(mut interaction: v1::Interaction, name: &str, value: &str) -> v1::Interaction {
    interaction.properties.insert(name.to_owned(), value.to_owned());
    interaction
}

/// A request for sales by month.
pub fn months(from: &str, to: &str, dimension: &str) -> v1::GetSalesReportRequest {
    v1::GetSalesReportRequest {
        from_time: Some(timestamp(time(from))),
        to_time: Some(timestamp(time(to))),
        period: Period::Month.into(),
        dimension: dimension.to_owned(),
        ..Default::default()
    }
}

/// A request for the cohorts of months.
pub fn cohorts_of(from: &str, to: &str) -> v1::GetCohortsRequest {
    v1::GetCohortsRequest {
        from_time: Some(timestamp(time(from))),
        to_time: Some(timestamp(time(to))),
        period: Period::Month.into(),
        ..Default::default()
    }
}

impl Tally {
    pub async fn sales(
        &self,
        request: v1::GetSalesReportRequest,
    ) -> Result<v1::GetSalesReportResponse, Status> {
        Ok(self.insights().get_sales_report(request).await?.into_inner())
    }

    pub async fn cohorts(&self, request: v1::GetCohortsRequest) -> Result<Vec<v1::CohortRow>, Status> {
        Ok(self.insights().get_cohorts(request).await?.into_inner().rows)
    }

    pub async fn campaigns(&self, request: v1::GetCampaignsRequest) -> Result<Vec<v1::CampaignRow>, Status> {
        Ok(self.insights().get_campaigns(request).await?.into_inner().rows)
    }
}
