//! A lead that is older than any that its model has learned from says so, however it is asked for.

use tally_model::time::Time;
use tally_proto::v1::{self, batch_result::Result as Item};

use super::{NOW, small_business};
use crate::support::{Tally, has_kind, on_both_stores, time, timestamp};

on_both_stores!(a_lead_older_than_any_learned_from_says_so, leads_are_learned_from_at_the_ages_they_have);

/// The age in days of a simulated customer at [`NOW`].
fn exact_age(customer_id: &str) -> f64 {
    let customer = small_business().iter().find(|customer| customer.customer_id == customer_id).unwrap();
    time(NOW).days_since(customer.create_time)
}

/// The same in whole days.
fn age(customer_id: &str) -> f64 {
    exact_age(customer_id).floor()
}

fn lead_request(customer_id: &str, as_of: Time) -> v1::ScoreLeadRequest {
    let (customer_id, as_of_time) = (customer_id.to_owned(), Some(timestamp(as_of)));
    v1::ScoreLeadRequest { customer_id, as_of_time, ..Default::default() }
}

async fn a_lead_older_than_any_learned_from_says_so(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.train_with_spec("lead", "[lead]\nages_days = [0, 30, 90]\n", &["--as-of", NOW]);
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let stored = tally.latest_predictions(v1::Target::Lead).await;
    let (old, young): (Vec<_>, Vec<_>) = stored.iter().partition(|score| age(&score.customer_id) > 90.0);
    assert!(old.len() > 20 && young.len() > 5, "{} and {}", old.len(), young.len());
    assert!(young.iter().all(|score| score.notes.is_empty()));
    for score in &old {
        let days = exact_age(&score.customer_id).round();
        let note =
            format!("The lead is {days} days old, older than any that the model has learned from (90 days)");
        assert_eq!(score.notes, [note]);
    }
    let coverage = tally.card("lead").await.lead_coverage.unwrap();
    let found = (coverage.oldest_days, coverage.leads, coverage.older);
    assert_eq!(found, (90, stored.len() as i64, old.len() as i64));

    let old = old[0];
    let request = v1::ReplayPredictionRequest { prediction_id: old.prediction_id.clone() };
    let replay = tally.predictions().replay_prediction(request).await.unwrap().into_inner();
    assert!(replay.identical, "{:?}", replay.differences);
    assert_eq!(replay.score.unwrap().notes, old.notes);
    // The second score of a customer in memory comes from what is kept of the first.
    for _ in 0..3 {
        let alone = tally.score_lead(lead_request(&old.customer_id, time(NOW))).await.unwrap();
        assert_eq!(alone.notes, old.notes);
    }
    let request = v1::BatchScoreLeadsRequest {
        customer_ids: vec![old.customer_id.clone()],
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    let batch = tally.scoring().batch_score_leads(request).await.unwrap().into_inner();
    let Some(Item::Score(in_batch)) = &batch.results[0].result else { panic!("{batch:?}") };
    assert_eq!(in_batch.notes, old.notes);
}

async fn leads_are_learned_from_at_the_ages_they_have(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.train(&["lead", "--as-of", NOW]);
    let card = tally.card("lead").await;
    let coverage = card.lead_coverage.unwrap();
    let mut ages: Vec<f64> =
        small_business().iter().filter(|c| !has_kind(c, "purchase")).map(|c| age(&c.customer_id)).collect();
    ages.sort_by(f64::total_cmp);
    // Ten leads have an outcome at the greatest age.
    let tenth = ages[ages.len() - 10];
    assert_eq!(f64::from(coverage.oldest_days), tenth - 30.0);
    assert!(coverage.older * 4 < coverage.leads, "{coverage:?}");
    assert!(card.spec.contains("ages_days = \"auto\""));
}
