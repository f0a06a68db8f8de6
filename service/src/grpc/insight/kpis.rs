//! Key figures.

use tally_model::{
    counted,
    insight::{KPI_METRICS, KpiMetric},
};
use tally_proto::{
    limits,
    v1::{self, GetKpisRequest, GetKpisResponse, KpiDefinition},
};
use tonic::Status;

use super::{InsightRpc, range::RequestedRange};
use crate::{
    grpc::convert::{response::timestamp, validator::Validator},
    insight::{KpiRequest, KpiRow},
    platform::error::{Error, Result, Shortened},
};

/// GetKpis.
pub(super) async fn kpis(rpc: &InsightRpc, request: GetKpisRequest) -> Result<GetKpisResponse, Status> {
    let now = rpc.clock.now();
    let mut validator = Validator::new(now);
    let metrics = metrics(&mut validator, &request.metrics);
    let times = (request.from_time.as_ref(), request.to_time.as_ref());
    let range = RequestedRange::read(&mut validator, times, request.period, &request.time_zone, now);
    let market_size = request.market_size;
    if market_size < 0 {
        validator.refuse("market_size", format!("is {market_size}; allowed are 0 (unknown) and more"));
    }
    let (metrics, range) = validator.finish((metrics, range))?;
    let range = range.resolve(&rpc.insights, now).await?;
    check_rows(metrics.len(), range.periods.len())?;
    let definitions = metrics.iter().map(|metric| definition(metric)).collect();
    let request = KpiRequest {
        metrics,
        periods: range.periods,
        period: range.period,
        zone: range.zone,
        before: range.range.end,
        known_at: now,
        market_size,
    };
    let insights = rpc.insights.clone();
    let report = rpc.insights.report(async move { insights.kpis(request).await }).await?;
    Ok(GetKpisResponse {
        rows: report.rows.into_iter().map(row).collect(),
        definitions,
        typical_interval_days: report.typical_interval.as_days(),
        known_time: Some(timestamp(now)),
        warnings: report.warnings,
    })
}

/// The metrics of these names in their order, each once; all when there are no names.
fn metrics(validator: &mut Validator, names: &[String]) -> Vec<&'static KpiMetric> {
    if names.is_empty() {
        return KPI_METRICS.iter().collect();
    }
    let (mut asked, mut unknown) = (Vec::new(), Vec::new());
    for (n, name) in names.iter().enumerate() {
        match KPI_METRICS.iter().find(|metric| metric.name == name) {
            // A request may have a million names, and there are few metrics.
            Some(metric) if asked.iter().all(|one: &&KpiMetric| one.name != metric.name) => {
                asked.push(metric);
            }
            None if unknown.len() < limits::VIOLATIONS => unknown.push(n),
            _ => {}
        }
    }
    for n in unknown {
        let allowed: Vec<&str> = KPI_METRICS.iter().map(|metric| metric.name).collect();
        let name = Shortened(&names[n]);
        let description = format!("is `{name}`, no metric; allowed are {}", allowed.join(", "));
        validator.refuse(format_args!("metrics[{n}]"), description);
    }
    asked
}

/// Refuses more rows than a reply may have.
fn check_rows(metrics: usize, periods: usize) -> Result<()> {
    let (rows, most) = (metrics * periods, limits::REPORT_ROWS);
    if rows > most {
        return Err(Error::invalid(
            "metrics",
            format!(
                "have {rows} rows, which are {} of {}; allowed are {most}, so ask for fewer metrics, longer periods or a \
                 shorter range",
                counted(periods, "period", "periods"),
                counted(metrics, "metric", "metrics")
            ),
        ));
    }
    Ok(())
}

fn definition(metric: &KpiMetric) -> KpiDefinition {
    KpiDefinition {
        metric: metric.name.to_owned(),
        definition: metric.definition.to_owned(),
        unit: metric.unit.to_string(),
    }
}

fn row(row: KpiRow) -> v1::KpiRow {
    let KpiRow { metric, period, figure, previous, year_before } = row;
    v1::KpiRow {
        metric: metric.name.to_owned(),
        period_start: Some(timestamp(period.counted.start)),
        period_end: Some(timestamp(period.counted.end)),
        partial: period.partial,
        value: figure.value,
        numerator: figure.quotient.map(|(numerator, _)| numerator),
        denominator: figure.quotient.map(|(_, denominator)| denominator),
        previous_value: previous,
        year_before_value: year_before,
    }
}
