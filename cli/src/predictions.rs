//! `tally score-all` and `tally predictions`: everybody, scored and listed; what was stored, computed
//! again and compared.

use indicatif::HumanCount;
use tally_proto::v1::{
    ComparePredictionsRequest, Grade, ListPredictionsRequest, ListPredictionsResponse,
    ReplayPredictionRequest, ScorePopulationRequest, ScorePopulationResponse,
};

use super::{
    Connection,
    args::{self, target},
    error::{ClientError, Result},
    json, print, remark, render,
};
use crate::{args::TargetName, progress, time};
use tally_proto::limits;

/// Scores everybody, with a progress bar.
pub(super) async fn score_all(server: &Connection, asked: &args::ScoreAll, json: bool) -> Result<()> {
    let request = ScorePopulationRequest {
        target: target(asked.target).into(),
        as_of_time: asked.as_of.map(time::timestamp),
        model: asked.model.clone().unwrap_or_default(),
        partitions: asked.partitions,
        partition: asked.partition,
    };
    let last = population(server, request).await?;
    print(&if json { json::message(&last)?.to_string() } else { render::population(&last) })
}

/// The last message of the run.
async fn population(server: &Connection, request: ScorePopulationRequest) -> Result<ScorePopulationResponse> {
    let failed = |status| server.error(&status);
    let mut answers = server.predictions().score_population(request).await.map_err(failed)?.into_inner();
    let mut last = ScorePopulationResponse::default();
    let mut over = false;
    let mut bar = None;
    while let Some(answer) = answers.message().await.map_err(failed)? {
        let total = answer.total.unsigned_abs();
        bar.get_or_insert_with(|| progress::begin("scoring", total)).set_position(answer.done.unsigned_abs());
        over = answer.done == answer.total;
        last = answer;
    }
    if over { Ok(last) } else { Err(ClientError::CutShort(render::population(&last))) }
}

/// Does what is asked with stored predictions.
pub(super) async fn run(server: &Connection, asked: &args::Predictions, json: bool) -> Result<()> {
    match asked {
        args::Predictions::Lead(filter) => list(server, TargetName::Lead, filter, json).await,
        args::Predictions::Churn(filter) => list(server, TargetName::Churn, filter, json).await,
        args::Predictions::Replay { prediction_id } => {
            let request = ReplayPredictionRequest { prediction_id: prediction_id.clone() };
            let reply = server.predictions().replay_prediction(request).await;
            let reply = reply.map_err(|status| server.error(&status))?.into_inner();
            print(&if json { json::message(&reply)?.to_string() } else { render::replay(&reply) })
        }
        args::Predictions::Compare { from, to } => {
            let request =
                ComparePredictionsRequest { from_prediction_id: from.clone(), to_prediction_id: to.clone() };
            let reply = server.predictions().compare_predictions(request).await;
            let reply = reply.map_err(|status| server.error(&status))?.into_inner();
            print(&if json { json::message(&reply)?.to_string() } else { render::comparison(&reply) })
        }
    }
}

/// Lists stored predictions, page by page.
async fn list(server: &Connection, target: TargetName, asked: &args::Filter, json: bool) -> Result<()> {
    let limit = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    let mut request = request(target, asked, limit);
    let mut client = server.predictions();
    let (mut shown, mut total, mut rows) = (0, None, Vec::new());
    loop {
        let page = client.list_predictions(request.clone()).await;
        let page = page.map_err(|status| server.error(&status))?.into_inner();
        let ListPredictionsResponse { mut predictions, next_page_token, total_size } = page;
        predictions.truncate(limit - shown);
        shown += predictions.len();
        total.get_or_insert(total_size);
        if json {
            for prediction in &predictions {
                print(&json::message(prediction)?.to_string())?;
            }
        } else {
            rows.append(&mut predictions);
        }
        request.page_token = next_page_token;
        if shown == limit || request.page_token.is_empty() {
            break;
        }
    }
    let total = total.unwrap_or_default().unsigned_abs();
    let showing = format!("showing {} of {}", HumanCount(shown as u64), HumanCount(total));
    if json {
        remark(&showing);
        return Ok(());
    }
    if rows.is_empty() {
        print(&showing)
    } else {
        print(&format!("{}\n\n{showing}", render::predictions(&rows)))
    }
}

fn request(of: TargetName, asked: &args::Filter, limit: usize) -> ListPredictionsRequest {
    ListPredictionsRequest {
        target: target(of).into(),
        min_probability: asked.min,
        max_probability: asked.max,
        grades: asked.grade.iter().map(|grade| Grade::from(*grade).into()).collect(),
        customer_id: asked.customer.clone().unwrap_or_default(),
        model: asked.model.clone().unwrap_or_default(),
        latest_only: Some(!asked.all),
        order_by: asked.order.order_by().to_owned(),
        page_size: limit.min(limits::LONGEST_PAGE) as i32,
        page_token: String::new(),
    }
}
