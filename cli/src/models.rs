//! `tally models`: the list, one model's card, how it holds, and which one serves.

use tally_proto::v1::{
    GetDriftRequest, GetModelRequest, GetRealisedPerformanceRequest, ListModelsRequest,
    ListPromotionsRequest, Model, PreviewPromotionRequest, PromoteModelRequest, Promotion,
    RollbackModelRequest,
};
use tonic::{Code, Status};

use super::{
    Connection,
    args::{self, target},
    card,
    error::Result,
    json, print, registry, render, watch,
};
use crate::{environment::user_at_host, time};

/// Does what is asked, and prints what came of it.
pub(super) async fn run(server: &Connection, asked: &args::Models, json: bool) -> Result<()> {
    match asked {
        args::Models::List { target: only } => {
            let only = only.map_or(0, |name| target(name).into());
            let models = all(server, only).await.map_err(|status| server.error(&status))?;
            if json {
                return models.iter().try_for_each(|model| print(&json::message(model)?.to_string()));
            }
            print(&if models.is_empty() { "no models yet".to_owned() } else { render::models(&models) })
        }
        args::Models::Show { name } => {
            let model = one(server, name).await.map_err(|status| server.error(&status))?;
            print(&if json { json::message(&model)?.to_string() } else { card::card(&model) })
        }
        args::Models::Drift { name } => {
            let asked = GetDriftRequest { model: name.clone() };
            let drift = server.models().get_drift(asked).await.map_err(|status| server.error(&status))?;
            let drift = drift.into_inner();
            print(&if json { json::message(&drift)?.to_string() } else { watch::drift(&drift) })
        }
        args::Models::Realised { target: of, model, from, to } => {
            let asked = GetRealisedPerformanceRequest {
                target: target(*of).into(),
                model: model.clone().unwrap_or_default(),
                from_time: from.map(time::timestamp),
                to_time: to.map(time::timestamp),
            };
            let reply = server.models().get_realised_performance(asked).await;
            let months = reply.map_err(|status| server.error(&status))?.into_inner().months;
            if json {
                return months.iter().try_for_each(|month| print(&json::message(month)?.to_string()));
            }
            print(&watch::realised(&months))
        }
        args::Models::Promote { name, force, reason } => {
            let request = PromoteModelRequest {
                model: name.clone(),
                force: *force,
                reason: reason.clone(),
                requested_by: user_at_host(),
            };
            let reply = server.models().promote_model(request).await;
            let reply = reply.map_err(|status| server.error(&status))?.into_inner();
            let moved = reply.promotion.clone().unwrap_or_default();
            print(&if json { json::message(&reply)?.to_string() } else { registry::moved(&moved) })
        }
        args::Models::Rollback { target: name, reason } => {
            let request = RollbackModelRequest {
                target: target(*name).into(),
                reason: reason.clone(),
                requested_by: user_at_host(),
            };
            let reply = server.models().rollback_model(request).await;
            let moved =
                reply.map_err(|status| server.error(&status))?.into_inner().promotion.unwrap_or_default();
            print(&if json { json::message(&moved)?.to_string() } else { registry::moved(&moved) })
        }
        args::Models::Preview { name, as_of } => {
            let request =
                PreviewPromotionRequest { model: name.clone(), as_of_time: as_of.map(time::timestamp) };
            let reply = server.models().preview_promotion(request).await;
            let preview = reply.map_err(|status| server.error(&status))?.into_inner();
            print(&if json { json::message(&preview)?.to_string() } else { registry::preview(&preview) })
        }
        args::Models::History { target: name } => {
            let moves =
                history(server, target(*name).into()).await.map_err(|status| server.error(&status))?;
            if json {
                return moves.iter().try_for_each(|promotion| print(&json::message(promotion)?.to_string()));
            }
            print(&if moves.is_empty() { "no champion yet".to_owned() } else { registry::history(&moves) })
        }
    }
}

async fn history(server: &Connection, target: i32) -> Result<Vec<Promotion>, Status> {
    let mut client = server.models();
    let mut moves = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListPromotionsRequest { target, page_size: 0, page_token };
        let page = client.list_promotions(request).await?.into_inner();
        moves.extend(page.promotions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(moves);
        }
    }
}

async fn all(server: &Connection, target: i32) -> Result<Vec<Model>, Status> {
    let mut client = server.models();
    let mut models = Vec::new();
    let mut page_token = String::new();
    loop {
        let page =
            client.list_models(ListModelsRequest { target, page_size: 0, page_token }).await?.into_inner();
        models.extend(page.models);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(models);
        }
    }
}

async fn one(server: &Connection, name: &str) -> Result<Model, Status> {
    let reply = server.models().get_model(GetModelRequest { model: name.to_owned() }).await?;
    reply.into_inner().model.ok_or_else(|| Status::new(Code::Internal, "the server's reply holds no model"))
}
