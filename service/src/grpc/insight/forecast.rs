//! The forecast.

use tally_model::insight::{Forecast, ForecastRow};
use tally_proto::{
    limits::FORECAST_STEPS,
    v1::{self, GetForecastRequest, GetForecastResponse},
};
use tonic::Status;

use super::InsightRpc;
use crate::grpc::convert::{response::timestamp, validator::Validator};

/// The steps of a request that names none.
const STEPS: i32 = 6;

/// GetForecast.
pub(super) async fn forecast(
    rpc: &InsightRpc,
    request: GetForecastRequest,
) -> Result<GetForecastResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let steps = if request.steps == 0 { STEPS } else { request.steps };
    if !(1..=FORECAST_STEPS).contains(&steps) {
        validator
            .refuse("steps", format!("is {steps}; allowed are 1 to {FORECAST_STEPS}, and 0 for {STEPS}"));
    }
    let (as_of, steps) = validator.finish((as_of, steps.unsigned_abs()))?;
    // Waiting for a pass takes no place of a report.
    let (pass, insights) = (rpc.insights.pass(as_of).await?, rpc.insights.clone());
    let report = rpc.insights.report(async move { insights.forecast(pass, steps).await }).await?;
    let model = &report.pass.population.value;
    let of_purchases = model.bg_nbd.problem.clone().filter(|_| !model.bg_nbd.is_usable());
    let problem = of_purchases.or_else(|| model.gamma_gamma.problem.clone());
    let Forecast { rows, totals, transitions, steps_to_loss } = &report.forecast;
    let expected = |rows: &[ForecastRow]| rows.iter().map(|row| forecast_row(row, None)).collect();
    let compared = |rows: &[(ForecastRow, f64)]| {
        rows.iter().map(|(row, actual)| forecast_row(row, Some(*actual))).collect()
    };
    Ok(GetForecastResponse {
        rows: expected(rows),
        totals: expected(totals),
        transitions: transitions
            .iter()
            .map(|transition| v1::StageTransition {
                from_segment: transition.from.name().to_owned(),
                to_segment: transition.to.name().to_owned(),
                customers: transition.customers as i64,
                probability: transition.probability,
            })
            .collect(),
        steps_to_loss: steps_to_loss
            .iter()
            .map(|(stage, steps)| v1::StepsToLoss { segment: stage.name().to_owned(), steps: *steps })
            .collect(),
        backtest: compared(&report.backtest.rows),
        backtest_totals: compared(&report.backtest.totals),
        as_of_time: Some(timestamp(report.pass.as_of)),
        known_time: Some(timestamp(report.pass.known_at)),
        backtest_as_of_time: Some(timestamp(report.backtest.as_of)),
        problem: problem.unwrap_or_default(),
        warnings: report.warnings(),
    })
}

fn forecast_row(row: &ForecastRow, actual: Option<f64>) -> v1::ForecastRow {
    v1::ForecastRow {
        step: row.step as i32,
        from_time: Some(timestamp(row.from)),
        to_time: Some(timestamp(row.to)),
        measure: row.measure.name(),
        value: row.value,
        lower: row.interval.map(|[lower, _]| lower),
        upper: row.interval.map(|[_, upper]| upper),
        actual,
    }
}
