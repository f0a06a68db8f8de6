//! Sales, cohorts and campaigns.

use prost::Message;
use tally_model::insight::Span;
use tally_proto::{
    limits,
    v1::{
        CampaignRow, CohortRow, GetCampaignsRequest, GetCampaignsResponse, GetCohortsRequest,
        GetCohortsResponse, GetSalesReportRequest, GetSalesReportResponse, SalesRow,
    },
};
use tally_store::Dimension;
use tonic::Status;

use super::{
    InsightRpc,
    range::{self, RequestedRange},
};
use crate::{
    grpc::convert::{response::timestamp, validator::Validator},
    insight::{CampaignLine, CohortLine, SalesLine, SalesRequest},
    platform::error::{Error, Result, Shortened},
};

/// Values with rows of their own unless asked for otherwise.
const VALUES: i32 = 100;
/// How long a purchase counts for a campaign unless asked for otherwise, in days.
const WINDOW_DAYS: i32 = 30;

/// GetSalesReport.
pub(super) async fn sales(
    rpc: &InsightRpc,
    request: GetSalesReportRequest,
) -> Result<GetSalesReportResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let limits = (request.from_time.as_ref(), request.to_time.as_ref());
    let range = RequestedRange::read(&mut validator, limits, request.period, &request.time_zone, now);
    let dimension = dimension(&mut validator, &request.dimension);
    let values = number(&mut validator, "max_values", request.max_values, (VALUES, limits::REPORT_VALUES));
    let (range, dimension) = validator.finish((range, dimension))?;
    let range = range.resolve(&rpc.insights, now).await?;
    let insights = rpc.insights.clone();
    let report = async move {
        let (whole, periods) = (range.range, &range.periods);
        insights.sales(SalesRequest { range: whole, periods, dimension, values: values as usize }).await
    };
    let report = rpc.insights.report(report).await?;
    let response = GetSalesReportResponse {
        rows: report.rows.into_iter().map(sales_row).collect(),
        period_totals: report.period_totals.into_iter().map(sales_row).collect(),
        total: Some(sales_row(report.total)),
        known_time: Some(timestamp(now)),
        warnings: report.warnings,
    };
    Ok(fitting(response, "max_values", "choose fewer values, longer periods or a shorter range")?)
}

/// GetCohorts.
pub(super) async fn cohorts(
    rpc: &InsightRpc,
    request: GetCohortsRequest,
) -> Result<GetCohortsResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let limits = (request.from_time.as_ref(), request.to_time.as_ref());
    let range = RequestedRange::read(&mut validator, limits, request.period, &request.time_zone, now);
    let range = validator.finish(range)?.resolve(&rpc.insights, now).await?;
    let insights = rpc.insights.clone();
    let lines = rpc.insights.report(async move { insights.cohorts(&range.periods).await }).await?;
    Ok(GetCohortsResponse { rows: lines.iter().map(cohort_row).collect(), known_time: Some(timestamp(now)) })
}

/// GetCampaigns.
pub(super) async fn campaigns(
    rpc: &InsightRpc,
    request: GetCampaignsRequest,
) -> Result<GetCampaignsResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let range =
        range::read_limits(&mut validator, (request.from_time.as_ref(), request.to_time.as_ref()), now);
    let window_days =
        number(&mut validator, "window_days", request.window_days, (WINDOW_DAYS, limits::CAMPAIGN_DAYS));
    let (range, window_days) = validator.finish((range, window_days))?;
    let insights = rpc.insights.clone();
    let lines = async move { insights.campaigns(range, window_days.into(), now).await };
    let lines = rpc.insights.report(lines).await?;
    let response = GetCampaignsResponse {
        rows: lines.into_iter().map(campaign_row).collect(),
        known_time: Some(timestamp(now)),
    };
    Ok(fitting(response, "from_time", "choose a shorter range")?)
}

/// What sales are divided by; None for nothing.
fn dimension(validator: &mut Validator, dimension: &str) -> Option<Dimension> {
    let mut name = |name: &str| validator.word("dimension", name.to_owned());
    match dimension.split_once(':') {
        None if dimension.is_empty() => None,
        None if dimension == "channel" => Some(Dimension::Channel),
        Some(("property", property)) => Some(Dimension::Property(name(property))),
        Some(("attribute", attribute)) => Some(Dimension::Attribute(name(attribute))),
        _ => {
            let allowed = "`channel`, `property:NAME`, `attribute:NAME`, and nothing for periods alone";
            let given = Shortened(dimension);
            validator.refuse("dimension", format!("is `{given}`, no dimension; allowed are {allowed}"));
            None
        }
    }
}

/// A number from 1 to a limit, or 0 for the usual one.
fn number(validator: &mut Validator, field: &str, number: i32, (usual, most): (i32, i32)) -> i32 {
    if !(0..=most).contains(&number) {
        validator.refuse(field, format!("is {number}; allowed are 1 to {most}, and 0 for {usual}"));
    }
    if number == 0 { usual } else { number }
}

/// A response that a message can hold; long values may make it too large with fewer rows than are allowed.
pub(super) fn fitting<M: Message>(response: M, field: &str, advice: &str) -> Result<M> {
    let (bytes, most) = (response.encoded_len(), limits::MESSAGE_BYTES);
    match bytes <= most {
        true => Ok(response),
        false => Err(Error::invalid(
            field,
            format!("the response has {bytes} bytes; allowed are {most}, so {advice}"),
        )),
    }
}

fn sales_row(line: SalesLine) -> SalesRow {
    let Span { start, end } = line.span;
    SalesRow {
        period_start: Some(timestamp(start)),
        period_end: Some(timestamp(end)),
        partial: line.partial,
        value: line.value,
        is_other: line.is_other,
        revenue_minor: line.sums.revenue_minor,
        returns_minor: line.sums.returns_minor,
        orders: line.sums.orders,
        customers: line.sums.customers,
        growth_previous: line.growth_previous,
        growth_year_before: line.growth_year_before,
    }
}

fn cohort_row(line: &CohortLine) -> CohortRow {
    CohortRow {
        cohort_start: Some(timestamp(line.cohort.start)),
        period_index: line.index as i32,
        period_start: Some(timestamp(line.period.start)),
        partial: line.partial,
        customers: line.customers,
        active: line.sums.active,
        retention: line.retention,
        revenue_minor: line.sums.revenue_minor,
        returns_minor: line.sums.returns_minor,
    }
}

fn campaign_row(line: CampaignLine) -> CampaignRow {
    CampaignRow {
        campaign: line.sums.campaign,
        reached: line.sums.reached,
        judged: line.sums.judged,
        converted: line.sums.converted,
        conversion_rate: line.conversion_rate,
        revenue_minor: line.sums.revenue_minor,
        revenue_per_reached_minor: line.revenue_per_reached_minor,
    }
}
