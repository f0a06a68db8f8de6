//! The list of predictions holds those who are still eligible, or those of one run.

use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::{NOW, small_business};
use crate::support::{
    Tally, assert_refused, business, has_kind, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    a_lead_that_buys_leaves_the_list_and_stays_in_its_run,
    who_cancels_leaves_the_list_and_returns_after_a_start,
    only_who_is_not_eligible_any_more_leaves_the_list,
    a_purchase_that_is_announced_ends_a_lead_at_once,
);

/// The ids that are listed, and the number of all that match.
async fn listed(tally: &Tally, target: v1::Target, as_of: Option<Time>) -> Vec<String> {
    let request = v1::ListPredictionsRequest {
        target: target.into(),
        as_of_time: as_of.map(timestamp),
        page_size: 1_000,
        ..Default::default()
    };
    let page = tally.predictions().list_predictions(request).await.unwrap().into_inner();
    assert_eq!(page.total_size, page.predictions.len() as i64);
    let mut ids: Vec<String> = page.predictions.into_iter().map(|score| score.customer_id).collect();
    ids.sort();
    ids
}

async fn exported(tally: &Tally, target: v1::Target, as_of: Time) -> usize {
    let request = v1::ExportPredictionsRequest {
        target: target.into(),
        as_of_time: Some(timestamp(as_of)),
        ..Default::default()
    };
    let mut messages = tally.predictions().export_predictions(request).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(message) = messages.message().await.unwrap() {
        count += message.predictions.len();
    }
    count
}

async fn a_lead_that_buys_leaves_the_list_and_stays_in_its_run(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.train(&["lead", "--as-of", NOW]);
    let (first, second) = (time(NOW), Time(time(NOW).0 + 20 * DAY));
    tally.score_population(v1::Target::Lead, first).await.unwrap();
    let all = listed(&tally, v1::Target::Lead, None).await;
    let (buyer, reported_late, other) = (&all[0], &all[1], &all[2]);

    // One buys after the run, one had bought before, which becomes known now; a visit changes nothing.
    let (later, before) = (Time(first.0 + DAY), Time(first.0 - DAY));
    let items = vec![
        interaction(buyer, "new", "purchase", &later.to_string()),
        interaction(reported_late, "new", "purchase", &before.to_string()),
        interaction(other, "new", "visit", &later.to_string()),
    ];
    tally.record(items).await;
    let rest: Vec<String> = all[2..].to_vec();
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, rest, "at once");
    assert_eq!(
        tally.database.sql("SELECT count(*) FROM v_latest_predictions").await,
        Some(rest.len() as i64)
    );
    assert_eq!(listed(&tally, v1::Target::Lead, Some(first)).await, all, "those of the run");
    // A run about an earlier moment does not know of the purchases, but lists nobody again who has bought.
    tally.score_population(v1::Target::Lead, first).await.unwrap();
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, rest);
    assert_eq!(listed(&tally, v1::Target::Lead, Some(first)).await, all, "the last of each customer");
    let last = tally.score_population(v1::Target::Lead, second).await.unwrap();
    assert_eq!(exported(&tally, v1::Target::Lead, second).await as i64, last.stored);
    assert_eq!(listed(&tally, v1::Target::Lead, None).await.len() as i64, last.stored - 2);

    // Who is known as a buyer at the moment of a run is not eligible, and leaves the list.
    let bought = interaction(other, "known", "purchase", &later.to_string());
    let deleted = "UPDATE latest_predictions SET ended_by = NULL";
    tally.database.sql(deleted).await;
    tally.backfill(vec![bought]).await.unwrap();
    assert!(listed(&tally, v1::Target::Lead, None).await.contains(other), "nothing says that it has bought");
    let third = Time(second.0 + DAY);
    tally.score_population(v1::Target::Lead, third).await.unwrap();
    assert!(!listed(&tally, v1::Target::Lead, None).await.contains(other));
    let unknown = v1::ListPredictionsRequest {
        target: v1::Target::Lead.into(),
        as_of_time: Some(timestamp(later)),
        ..Default::default()
    };
    let refused = tally.predictions().list_predictions(unknown).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(message.contains(&format!("the latest ones are about {third}")), "{message}");
    assert_refused(refused, Code::NotFound, "RUN_NOT_FOUND", &[]);
}

async fn who_cancels_leaves_the_list_and_returns_after_a_start(tally: Tally) {
    let business = tally_model::simulate::Business { subscription: true, ..business(700, 11, time(NOW)) };
    tally.simulate(&business).await;
    let spec = "[churn]\nevent = \"cancel\"\nhorizon_days = 60\n";
    tally.train_with_spec("churn", spec, &["--as-of", NOW, "--promote", "always"]);
    let is_bound = |c: &_| has_kind(c, "purchase") && !has_kind(c, "cancel");
    let bound: Vec<String> = business.iter().filter(is_bound).map(|c| c.customer_id.clone()).collect();
    let (leaver, returner) = (&bound[0], &bound[1]);
    let days_later = |days: i64| Time(time(NOW).0 + days * DAY);
    let cancel = |id: &str| interaction(id, "leaves", "cancel", &days_later(1).to_string());
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    assert_eq!(listed(&tally, v1::Target::Churn, None).await.len(), bound.len());

    tally.backfill(vec![cancel(leaver), cancel(returner)]).await.unwrap();
    assert_eq!(listed(&tally, v1::Target::Churn, None).await.len(), bound.len() - 2, "at once");
    let again = interaction(returner, "again", "purchase", &days_later(2).to_string());
    tally.backfill(vec![again]).await.unwrap();
    tally.score_population(v1::Target::Churn, days_later(3)).await.unwrap();
    let ids = listed(&tally, v1::Target::Churn, None).await;
    assert!(ids.contains(returner) && !ids.contains(leaver), "{ids:?}");
    // The same cancel, sent again, is no new one.
    tally.backfill(vec![cancel(returner)]).await.unwrap();
    assert_eq!(listed(&tally, v1::Target::Churn, None).await, ids);
    // One that is known late takes the customer off, and a score about a moment at which it was not known changes nothing.
    let late = interaction(returner, "late", "cancel", &days_later(3).to_string());
    tally.record(vec![late]).await;
    assert!(!listed(&tally, v1::Target::Churn, None).await.contains(returner));
    tally.score_population(v1::Target::Churn, days_later(4)).await.unwrap();
    assert!(!listed(&tally, v1::Target::Churn, None).await.contains(returner));
    assert!(listed(&tally, v1::Target::Churn, Some(days_later(4))).await.contains(returner));
}

async fn only_who_is_not_eligible_any_more_leaves_the_list(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.train(&["lead", "--as-of", NOW]);
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let all = listed(&tally, v1::Target::Lead, None).await;
    let (skipped, retracted, united) = (&all[0], &all[1], &all[2]);
    let later = Time(time(NOW).0 + DAY).to_string();

    // A purchase that is not stored, since its key is known with other content.
    tally.record(vec![interaction(skipped, "known", "visit", &later)]).await;
    let request = v1::RecordInteractionsRequest {
        interactions: vec![interaction(skipped, "known", "purchase", &later)],
        on_conflict: v1::OnConflict::Skip.into(),
        ..Default::default()
    };
    let reply = tally.interactions().record_interactions(request).await.unwrap().into_inner();
    assert_eq!(reply.skipped, 1);
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, all);

    // A purchase that was retracted, sent again.
    let purchase = interaction(retracted, "mistake", "purchase", &later);
    tally.record(vec![purchase.clone()]).await;
    assert!(!listed(&tally, v1::Target::Lead, None).await.contains(retracted));
    tally.retract(&[(retracted.as_str(), "mistake")]).await.unwrap();
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, all, "a run lists it again");
    tally.record(vec![purchase]).await;
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, all);

    // A buyer that turns out to be a lead makes a buyer of it.
    let buyer = small_business().iter().find(|customer| has_kind(customer, "purchase")).unwrap().customer_id;
    let request = v1::MergeCustomersRequest { from_customer_id: buyer, into_customer_id: united.clone() };
    tally.customers().merge_customers(request).await.unwrap();
    assert!(!listed(&tally, v1::Target::Lead, None).await.contains(united));
}

/// The clocks of callers go ahead, and orders may be due the next day.
async fn a_purchase_that_is_announced_ends_a_lead_at_once(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.train(&["lead", "--as-of", NOW]);
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let before = listed(&tally, v1::Target::Lead, None).await;
    let tomorrow = Time(system_clock().0 + DAY - 60_000_000).to_string();
    tally.record(vec![interaction(&before[0], "due", "purchase", &tomorrow)]).await;
    assert_eq!(listed(&tally, v1::Target::Lead, None).await, before[1..]);
    // The lead is eligible still, and has a score, but is not listed again.
    let later = Time(time(NOW).0 + DAY);
    tally.score_population(v1::Target::Lead, later).await.unwrap();
    assert!(listed(&tally, v1::Target::Lead, Some(later)).await.contains(&before[0]));
    assert!(!listed(&tally, v1::Target::Lead, None).await.contains(&before[0]));
}
