//! The value model.

use tally_model::insight::{GammaGammaFit, LifeCycle};
use tally_proto::v1::{self, GetValueModelRequest};
use tonic::Status;

use super::InsightRpc;
use crate::{
    grpc::{
        convert::{response::timestamp, validator::Validator},
        models::bg_nbd,
    },
    insight::{Backtest, BacktestSums},
};

/// GetValueModel.
pub(super) async fn value_model(
    rpc: &InsightRpc,
    request: GetValueModelRequest,
) -> Result<v1::ValueModel, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let as_of = request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time));
    let as_of = validator.finish(as_of)?;
    // Waiting for a pass takes no place of a report.
    let (pass, insights) = (rpc.insights.pass(as_of).await?, rpc.insights.clone());
    let report = rpc.insights.report(async move { insights.value_model(pass).await }).await?;
    let (warnings, population) = (report.warnings(), &report.pass.population);
    let model = &population.value;
    Ok(v1::ValueModel {
        as_of_time: Some(timestamp(report.pass.as_of)),
        bg_nbd: Some(bg_nbd(&model.bg_nbd)),
        gamma_gamma: Some(gamma_gamma(&model.gamma_gamma)),
        margin_rate: model.margin_rate,
        discount_rate: model.spec.discount_rate,
        horizon_days: model.spec.horizon_days as i32,
        new_customer_clv_minor: model.new_customer_clv().map(|clv| clv.round() as i64),
        fit_seconds: population.fit_seconds,
        backtest: report.backtest.as_ref().map(backtest),
        warnings,
    })
}

fn gamma_gamma(fit: &GammaGammaFit) -> v1::GammaGamma {
    v1::GammaGamma {
        p: fit.model.p,
        q: fit.model.q,
        v: fit.model.v,
        log_likelihood: fit.log_likelihood,
        customers: fit.customers as i64,
        converged: fit.problem.is_none(),
        problem: fit.problem.clone().unwrap_or_default(),
    }
}

fn backtest(backtest: &Backtest) -> v1::ValueBacktest {
    let total = backtest.total();
    v1::ValueBacktest {
        as_of_time: Some(timestamp(backtest.as_of)),
        customers: total.customers as i64,
        expected_minor: total.expected,
        actual_minor: total.actual,
        inside_interval: total.inside_share(),
        stages: backtest.stages.iter().map(stage).collect(),
        margin_rate: backtest.margin_rate,
    }
}

fn stage((stage, sums): &(LifeCycle, BacktestSums)) -> v1::StageBacktest {
    v1::StageBacktest {
        life_cycle: stage.name().to_owned(),
        customers: sums.customers as i64,
        expected_minor: sums.expected,
        actual_minor: sums.actual,
        inside_interval: sums.inside_share(),
    }
}
