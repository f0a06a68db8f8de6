//! A model's life: training, the gate, promotion, rollback, preview, and how long predictions are kept.

mod checks;
mod concurrent_promotions;
mod preview;
mod program;
mod promotion;
mod retention;
mod rollback;
mod subscribers;
mod training;

use tally_proto::v1::{self, model_service_client::ModelServiceClient};
use tonic::{Status, transport::Channel};

use crate::support::{Tally, time, timestamp};

const NOW: &str = "2024-06-01";

/// The spec of a model that trains quickly.
pub const POOR: &str = "[features]\nkinds = []\nwindows_days = []\nattributes = []\n";

pub async fn promote(tally: &Tally, model: &str, force: bool) -> Result<v1::PromoteModelResponse, Status> {
    let request = v1::PromoteModelRequest {
        model: model.to_owned(),
        force,
        reason: "a test".to_owned(),
        requested_by: "tester".to_owned(),
    };
    Ok(tally.models().promote_model(request).await?.into_inner())
}

async fn roll_back(tally: &Tally) -> Result<v1::Promotion, Status> {
    let request = v1::RollbackModelRequest { target: v1::Target::Churn.into(), ..Default::default() };
    Ok(tally.models().rollback_model(request).await?.into_inner().promotion.unwrap())
}

/// The model that answers when churn is asked for.
pub async fn serving_model(tally: &Tally, customer_id: &str) -> Result<String, Status> {
    let request = v1::PredictChurnRequest {
        customer_id: customer_id.to_owned(),
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    Ok(tally.predict_churn(request).await?.model)
}

/// All moves of the churn champion, oldest first.
async fn promotions(client: &mut ModelServiceClient<Channel>) -> Vec<v1::Promotion> {
    let mut request =
        v1::ListPromotionsRequest { target: v1::Target::Churn.into(), page_size: 200, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_promotions(request.clone()).await.unwrap().into_inner();
        all.extend(page.promotions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            all.reverse();
            return all;
        }
    }
}

/// Asserts that the moves follow each other without a gap and end at the only champion. Returns them.
async fn assert_unbroken_line(mut client: ModelServiceClient<Channel>) -> Vec<v1::Promotion> {
    let moves = promotions(&mut client).await;
    let mut champion = String::new();
    for (n, promotion) in moves.iter().enumerate() {
        assert_eq!((promotion.sequence, &promotion.from_model), (n as i64 + 1, &champion), "{moves:?}");
        champion.clone_from(&promotion.to_model);
    }
    let request = v1::ListModelsRequest { target: v1::Target::Churn.into(), ..Default::default() };
    let models = client.list_models(request).await.unwrap().into_inner().models;
    let champions: Vec<String> =
        models.into_iter().filter(|model| model.champion).map(|model| model.name).collect();
    assert_eq!(champions, [champion]);
    moves
}
