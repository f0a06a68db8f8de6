//! Runs the commands about models.

use tally_proto::v1::{
    GetDeploymentRequest, GetDriftRequest, GetModelRequest, GetRealisedPerformanceRequest,
    PreviewPromotionRequest, PromoteModelRequest, RollbackModelRequest,
};
use tonic::{Code, Status};

use super::{card, champion, list, monitoring};
use crate::{
    args::{ModelsCommand, PromoteArgs, RealisedArgs, TargetArg},
    connection::Connection,
    environment::user_at_host,
    error::ClientError,
    output, time,
};

/// Runs a command about models.
pub(crate) async fn run(server: &Connection, command: &ModelsCommand, json: bool) -> Result<(), ClientError> {
    let failed = |status| server.error(&status);
    match command {
        ModelsCommand::List { target } => {
            let models = list::models(server, target.map_or(0, TargetArg::number)).await?;
            Ok(output::show_all(&models, json, list::models_table)?)
        }
        ModelsCommand::Show { name } => show(server, name, json).await,
        ModelsCommand::Drift { name, top } => {
            let request = GetDriftRequest { model: name.clone() };
            let mut drift = server.models().get_drift(request).await.map_err(failed)?.into_inner();
            let most = top.and_then(|top| usize::try_from(top).ok()).unwrap_or(usize::MAX);
            let left_out = drift.features.len().saturating_sub(most);
            drift.features.truncate(most);
            Ok(output::show(&drift, json, |drift| monitoring::drift(drift, left_out))?)
        }
        ModelsCommand::Realised(args) => realised(server, args, json).await,
        ModelsCommand::Promote(args) => promote(server, args, json).await,
        ModelsCommand::Rollback { target, reason } => rollback(server, *target, reason, json).await,
        ModelsCommand::Preview { name, as_of } => {
            let request =
                PreviewPromotionRequest { model: name.clone(), as_of_time: as_of.map(time::timestamp) };
            let reply = server.models().preview_promotion(request).await.map_err(failed)?;
            let deployment = server.deployment().get_deployment(GetDeploymentRequest {}).await;
            let deployment = deployment.map_err(failed)?.into_inner();
            Ok(output::show(reply.get_ref(), json, |preview| champion::preview(preview, &deployment))?)
        }
        ModelsCommand::History { target } => {
            let promotions = list::promotions(server, target.number()).await?;
            Ok(output::show_all(&promotions, json, champion::history)?)
        }
    }
}

async fn show(server: &Connection, name: &str, json: bool) -> Result<(), ClientError> {
    let reply = server.models().get_model(GetModelRequest { model: name.to_owned() }).await;
    let model = reply.map_err(|status| server.error(&status))?.into_inner().model.ok_or_else(|| {
        server.error(&Status::new(Code::Internal, "the server's reply does not contain a model"))
    })?;
    Ok(output::show(&model, json, card::card)?)
}

async fn realised(server: &Connection, args: &RealisedArgs, json: bool) -> Result<(), ClientError> {
    let request = GetRealisedPerformanceRequest {
        target: args.target.number(),
        model: args.model.clone().unwrap_or_default(),
        from_time: args.from.map(time::timestamp),
        to_time: args.to.map(time::timestamp),
    };
    let reply = server.models().get_realised_performance(request).await;
    let months = reply.map_err(|status| server.error(&status))?.into_inner().months;
    Ok(output::show_all(&months, json, monitoring::realised)?)
}

async fn promote(server: &Connection, args: &PromoteArgs, json: bool) -> Result<(), ClientError> {
    let request = PromoteModelRequest {
        model: args.name.clone(),
        force: args.force,
        reason: args.reason.clone(),
        requested_by: user_at_host(),
    };
    let reply = server.models().promote_model(request).await.map_err(|status| server.error(&status))?;
    let text = |reply: &tally_proto::v1::PromoteModelResponse| {
        champion::promoted(&reply.promotion.clone().unwrap_or_default())
    };
    Ok(output::show(reply.get_ref(), json, text)?)
}

async fn rollback(
    server: &Connection,
    target: TargetArg,
    reason: &str,
    json: bool,
) -> Result<(), ClientError> {
    let request = RollbackModelRequest {
        target: target.number(),
        reason: reason.to_owned(),
        requested_by: user_at_host(),
    };
    let reply = server.models().rollback_model(request).await.map_err(|status| server.error(&status))?;
    let promotion = reply.into_inner().promotion.unwrap_or_default();
    Ok(output::show(&promotion, json, champion::promoted)?)
}
