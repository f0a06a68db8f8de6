//! A business that ends today, and scores about now: what the tests of replay and comparison share.

use tally_model::{
    simulate::{Business, SimulatedCustomer},
    time::{DAY, Time},
};
use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Status;

use crate::support::{Tally, business, has_kind, interaction, timestamp};

/// The last midnight, at which the simulated business ends.
pub fn today() -> Time {
    Time(system_clock().day_number() * DAY)
}

pub fn business_until_today() -> Business {
    business(600, 3, today())
}

/// Stores the business and trains these models.
pub async fn trained_today(tally: &Tally, targets: &[&str]) {
    tally.simulate(&business_until_today()).await;
    for target in targets {
        tally.train(&[target, "--as-of", &today().to_string()]);
    }
}

/// Trains churn/2, on other features.
pub fn retrain(tally: &Tally) {
    let as_of = today().plus_days(-2).to_string();
    let arguments = ["--as-of", &as_of, "--promote", "always"];
    tally.train_with_spec("churn", "[features]\nwindows_days = [14, 60]\n", &arguments);
}

/// Customers who had bought sixty days ago.
pub fn buyers() -> Vec<String> {
    let bought_early = |customer: &SimulatedCustomer| {
        customer.interactions.iter().any(|i| i.kind == "purchase" && i.occur_time < today().plus_days(-60))
    };
    business_until_today().iter().filter(bought_early).map(|customer| customer.customer_id).collect()
}

/// Customers who have never bought.
pub fn leads() -> Vec<String> {
    let business = business_until_today();
    let leads = business.iter().filter(|customer| !has_kind(customer, "purchase"));
    leads.map(|customer| customer.customer_id).collect()
}

/// A churn score with all reasons.
pub async fn churn(tally: &Tally, id: &str, as_of: Option<Time>, model: &str, persist: bool) -> v1::Score {
    let request = v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        as_of_time: as_of.map(timestamp),
        model: model.to_owned(),
        max_reasons: -1,
        persist,
    };
    tally.predict_churn(request).await.unwrap()
}

/// A stored churn score of the champion about now.
pub async fn stored_churn(tally: &Tally, id: &str) -> v1::Score {
    churn(tally, id, None, "", true).await
}

/// A stored lead score.
pub async fn stored_lead(tally: &Tally, id: &str, as_of: Option<Time>) -> v1::Score {
    let request = v1::ScoreLeadRequest {
        customer_id: id.to_owned(),
        as_of_time: as_of.map(timestamp),
        persist: true,
        ..Default::default()
    };
    tally.score_lead(request).await.unwrap()
}

/// An interaction at a moment.
pub fn event(id: &str, own: &str, kind: &str, occurred: Time) -> v1::Interaction {
    interaction(id, own, kind, &occurred.to_string())
}

pub async fn replay(tally: &Tally, id: &str) -> Result<v1::ReplayPredictionResponse, Status> {
    let request = v1::ReplayPredictionRequest { prediction_id: id.to_owned() };
    Ok(tally.predictions().replay_prediction(request).await?.into_inner())
}

/// Asserts that the replay of a stored score is the same bits.
pub async fn assert_identical(tally: &Tally, stored: &v1::Score) {
    let replay = replay(tally, &stored.prediction_id).await.unwrap();
    assert!(replay.identical, "{:?}", replay.differences);
    assert_eq!(replay.differences, [""; 0]);
    assert_eq!(replay.stored.as_ref(), Some(stored), "stored as it was returned");
    assert_eq!(replay.score.as_ref(), Some(stored));
}

pub async fn compare(
    tally: &Tally,
    from: &v1::Score,
    to: &v1::Score,
) -> Result<v1::ComparePredictionsResponse, Status> {
    compare_ids(tally, &from.prediction_id, &to.prediction_id).await
}

pub async fn compare_ids(
    tally: &Tally,
    from: &str,
    to: &str,
) -> Result<v1::ComparePredictionsResponse, Status> {
    let (from_prediction_id, to_prediction_id) = (from.to_owned(), to.to_owned());
    let request = v1::ComparePredictionsRequest { from_prediction_id, to_prediction_id };
    Ok(tally.predictions().compare_predictions(request).await?.into_inner())
}
