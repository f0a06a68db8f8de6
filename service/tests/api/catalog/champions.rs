//! A running server picks up a new champion by itself, and its health follows.

use std::time::Duration;

use tally_proto::v1;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{Tally, business, has_kind, on_both_stores, time, timestamp};

on_both_stores!(a_new_champion_is_picked_up_and_health_follows);

const NOW: &str = "2024-06-01";

fn check(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

async fn score(tally: &Tally, customer_id: &str, model: &str) -> v1::Score {
    let request = v1::PredictChurnRequest {
        customer_id: customer_id.to_owned(),
        as_of_time: Some(timestamp(time(NOW))),
        model: model.to_owned(),
        ..Default::default()
    };
    tally.predict_churn(request).await.unwrap()
}

async fn a_new_champion_is_picked_up_and_health_follows(tally: Tally) {
    let mut health = HealthClient::new(tally.channel.clone());
    for service in ["", "tally.v1.CustomerService", "tally.v1.InteractionService", "tally.v1.ModelService"] {
        let status = health.check(check(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let mut watched = health.watch(check("tally.v1.ScoringService")).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let business = business(700, 11, time(NOW));
    tally.simulate(&business).await;
    tally.train(&["churn", "--as-of", NOW]);
    // The server notices by itself: no restart, no request.
    let seen = tokio::time::timeout(Duration::from_secs(5), watched.message()).await;
    assert_eq!(seen.expect("within 5 s").unwrap().unwrap().status(), ServingStatus::Serving);

    tally.train(&["churn", "--as-of", NOW, "--horizon-days", "60", "--promote", "always"]);
    let buyer = business.iter().find(|customer| has_kind(customer, "purchase")).unwrap().customer_id;
    let picked_up = async {
        loop {
            let score = score(&tally, &buyer, "").await;
            if score.model == "churn/2" {
                break score.horizon_days;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), picked_up).await, Ok(60));
    let by_name = score(&tally, &buyer, "churn/1").await;
    assert_eq!((by_name.model.as_str(), by_name.horizon_days), ("churn/1", 90));
}
