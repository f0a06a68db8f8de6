//! Passes: when they are made, what they store, how long they are kept, and what predictions make of them.

use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1;
use tally_service::insight::{InsightPass, PassPurpose};
use tally_store::{PassExpiry, StoreError, UnwatchedPass};
use tonic::Code;

use super::{AS_OF, paid};
use crate::support::{Tally, assert_refused, business, on_both_stores, time, timestamp};

on_both_stores!(
    a_refresh_scores_as_a_population_run_does,
    a_pass_on_demand_adds_no_predictions,
    a_pass_replaces_the_one_of_the_same_moment,
    passes_expire_but_for_the_last_of_each_month,
    predictions_are_filtered_by_the_latest_pass,
    callers_share_a_pass,
    a_look_ahead_is_not_the_latest_pass,
    who_has_gone_gets_no_pass,
    a_pass_that_others_are_compared_with_does_not_expire,
    rules_look_once_at_a_pass_that_other_settings_replace,
);

/// Stores a business and trains both models.
pub(super) async fn trained(tally: &Tally) {
    tally.simulate(&business(400, 11, time(AS_OF))).await;
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", AS_OF]);
    }
}

async fn listed(tally: &Tally, target: v1::Target) -> Vec<v1::Score> {
    let request =
        v1::ListPredictionsRequest { target: target.into(), page_size: 1_000, ..Default::default() };
    tally.predictions().list_predictions(request).await.unwrap().into_inner().predictions
}

async fn a_refresh_scores_as_a_population_run_does(tally: Tally) {
    trained(&tally).await;
    let targets = [v1::Target::Lead, v1::Target::Churn];
    let mut alone = Vec::new();
    for target in targets {
        tally.score_population(target, time(AS_OF)).await.unwrap();
        alone.push(listed(&tally, target).await);
    }
    let last = tally.refresh_insights(AS_OF).await.unwrap();
    assert_eq!((last.done, last.total), (400, 400));
    let bits = |scores: &[v1::Score]| -> Vec<(String, u64)> {
        scores.iter().map(|score| (score.customer_id.clone(), score.probability.to_bits())).collect()
    };
    for (target, alone) in targets.into_iter().zip(&alone) {
        let refreshed = listed(&tally, target).await;
        assert_eq!(bits(&refreshed), bits(alone));
        assert!(refreshed.iter().zip(alone).all(|(new, old)| new.prediction_id != old.prediction_id));
        assert!(refreshed.iter().all(|score| score.reasons.len() == 3));
    }
    let customer = &alone[1][0];
    let insight = tally.insight(&customer.customer_id, AS_OF).await.unwrap();
    let score = insight.churn_score.unwrap();
    assert_eq!((score.probability.to_bits(), score.reasons.len()), (customer.probability.to_bits(), 3));
    assert_eq!((insight.lead_score, insight.score_history.len()), (None, 2), "the run and the pass");
    assert_eq!(insight.score_history[0].model, "churn/1");
}

async fn a_pass_on_demand_adds_no_predictions(tally: Tally) {
    trained(&tally).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let count = async || {
        let request = v1::ListPredictionsRequest {
            target: v1::Target::Churn.into(),
            latest_only: Some(false),
            ..Default::default()
        };
        tally.predictions().list_predictions(request).await.unwrap().into_inner().total_size
    };
    let before = count().await;
    let request = v1::ListSegmentMembersRequest {
        segmentation: "life_cycle".into(),
        as_of_time: Some(timestamp(time("2024-03-01"))),
        page_size: 1_000,
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(request).await.unwrap().into_inner().members;
    let scored = members.iter().filter(|member| member.churn_probability.is_some()).count();
    let buyers = members.iter().filter(|member| member.life_cycle != "lead").count();
    assert!(scored > 100 && scored == buyers, "{scored} of {buyers}");
    let member = members.iter().find(|member| member.churn_probability.is_some()).unwrap();
    let score = v1::PredictChurnRequest {
        customer_id: member.customer_id.clone(),
        as_of_time: Some(timestamp(time("2024-03-01"))),
        ..Default::default()
    };
    let score = tally.scoring().predict_churn(score).await.unwrap().into_inner();
    assert_eq!(member.churn_probability.map(f64::to_bits), Some(score.probability.to_bits()));
    assert_eq!(count().await, before);
}

async fn a_pass_replaces_the_one_of_the_same_moment(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    tally.backfill(vec![paid("bob", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    assert_eq!(tally.sizes("abc", None).await, [("A".to_owned(), 1)]);
    tally.refresh_insights(AS_OF).await.unwrap();
    assert_eq!(tally.sizes("abc", None).await, [("A".to_owned(), 2)]);
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let none = PassExpiry { kept: Time::MIN, on_demand: Time::MIN };
    assert_eq!(store.remove_passes(none).await.unwrap(), 1, "the one that was replaced");
    assert_eq!(tally.sizes("abc", None).await, [("A".to_owned(), 2)]);
}

async fn passes_expire_but_for_the_last_of_each_month(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-01-01", 100)]).await.unwrap();
    for as_of in ["2024-04-10", "2024-04-20", "2024-05-01", "2024-05-02"] {
        tally.refresh_insights(as_of).await.unwrap();
    }
    for as_of in ["2024-05-20", "2024-06-20"] {
        tally.sizes("abc", Some(as_of)).await;
    }
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let far = Time::MAX;
    let kept = async || {
        let (mut found, mut until) = (Vec::new(), far);
        while let Some(pass) = store.latest_pass(until).await.unwrap() {
            found.push(pass.as_of.to_string()[..10].to_owned());
            until = Time(pass.as_of.0 - 1);
        }
        found
    };
    let now = tally_service::platform::clock::system_clock();
    let tomorrow = now.plus_days(1);
    let only_on_demand = PassExpiry { kept: now.plus_days(-35), on_demand: tomorrow };
    assert_eq!(store.remove_passes(only_on_demand).await.unwrap(), 2);
    assert_eq!(kept().await, ["2024-05-02", "2024-05-01", "2024-04-20", "2024-04-10"]);
    let all = PassExpiry { kept: tomorrow, on_demand: tomorrow };
    assert_eq!(store.remove_passes(all).await.unwrap(), 2);
    assert_eq!(kept().await, ["2024-05-02", "2024-04-20"]);
    assert_eq!(store.remove_passes(all).await.unwrap(), 0);
}

async fn predictions_are_filtered_by_the_latest_pass(tally: Tally) {
    trained(&tally).await;
    tally.score_population(v1::Target::Churn, time(AS_OF)).await.unwrap();
    let list = async |request: v1::ListPredictionsRequest| {
        let request =
            v1::ListPredictionsRequest { target: v1::Target::Churn.into(), page_size: 1_000, ..request };
        tally.predictions().list_predictions(request).await.map(tonic::Response::into_inner)
    };
    let staged = |stages: &[&str]| v1::ListPredictionsRequest {
        life_cycles: stages.iter().map(|stage| (*stage).to_owned()).collect(),
        ..Default::default()
    };
    let by_net = v1::ListPredictionsRequest { order_by: "net_revenue desc".into(), ..Default::default() };
    for request in [staged(&["mature"]), by_net.clone()] {
        assert_refused(list(request).await, Code::FailedPrecondition, "NO_INSIGHTS", &[]);
    }
    tally.refresh_insights(AS_OF).await.unwrap();

    let request = v1::ListSegmentMembersRequest {
        segmentation: "life_cycle".into(),
        page_size: 1_000,
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(request).await.unwrap().into_inner().members;
    let expected = |fits: &dyn Fn(&v1::SegmentMember) -> bool| {
        let mut ids: Vec<String> = members
            .iter()
            .filter(|member| member.churn_probability.is_some() && fits(member))
            .map(|member| member.customer_id.clone())
            .collect();
        ids.sort();
        ids
    };
    let found = list(staged(&["declining", "mature"])).await.unwrap();
    assert!(found.predictions.is_sorted_by(|a, b| a.probability >= b.probability));
    let sorted = |found: &v1::ListPredictionsResponse| {
        let mut ids: Vec<String> = found.predictions.iter().map(|score| score.customer_id.clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(
        sorted(&found),
        expected(&|member| ["declining", "mature"].contains(&member.life_cycle.as_str()))
    );
    assert_eq!(found.total_size, found.predictions.len() as i64);
    let both = v1::ListPredictionsRequest { abc_classes: vec!["A".into()], ..staged(&["mature"]) };
    let both = list(both).await.unwrap();
    assert_eq!(sorted(&both), expected(&|member| member.life_cycle == "mature" && member.abc_class == "A"));
    assert!(!both.predictions.is_empty());

    // By net revenue, in pages.
    let ordered: Vec<&str> = members
        .iter()
        .filter(|member| member.churn_probability.is_some())
        .map(|member| member.customer_id.as_str())
        .collect();
    let net = |id: &str| {
        let member = members.iter().find(|member| member.customer_id == id).unwrap();
        member.revenue_minor - member.returns_minor
    };
    let (mut ids, mut request) =
        (Vec::new(), v1::ListPredictionsRequest { target: v1::Target::Churn.into(), page_size: 7, ..by_net });
    loop {
        let page = tally.predictions().list_predictions(request.clone()).await.unwrap().into_inner();
        ids.extend(page.predictions.into_iter().map(|score| score.customer_id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(ids.len(), ordered.len());
    assert!(ids.is_sorted_by(|a, b| net(a) >= net(b)));

    let export = v1::ExportPredictionsRequest {
        target: v1::Target::Churn.into(),
        life_cycles: vec!["mature".into()],
        ..Default::default()
    };
    let mut messages = tally.predictions().export_predictions(export).await.unwrap().into_inner();
    let mut exported = 0;
    while let Some(message) = messages.message().await.unwrap() {
        exported += message.predictions.len();
    }
    assert_eq!(exported, expected(&|member| member.life_cycle == "mature").len());

    for (request, field) in [
        (staged(&["mature", "old"]), "life_cycles[1]"),
        (
            v1::ListPredictionsRequest { abc_classes: vec!["a".into()], ..Default::default() },
            "abc_classes[0]",
        ),
        (
            v1::ListPredictionsRequest { rfm_segments: vec!["best".into()], ..Default::default() },
            "rfm_segments",
        ),
        (v1::ListPredictionsRequest { order_by: "net".into(), ..Default::default() }, "order_by"),
    ] {
        assert_refused(list(request).await, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}

async fn a_look_ahead_is_not_the_latest_pass(tally: Tally) {
    let now = tally_service::platform::clock::system_clock();
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    let ahead = Time(now.0 + 3_600_000_000);
    assert_eq!(tally.sizes("life_cycle", Some(&ahead.to_string())).await.len(), 1);
    assert_eq!(tally.refresh_insights(AS_OF).await.unwrap().warning, "");
    let warning = tally.refresh_insights(&ahead.to_string()).await.unwrap().warning;
    assert!(warning.contains("never the latest pass"), "{warning}");
    assert_eq!(tally.segments("abc", None).await.as_of_time, Some(timestamp(time(AS_OF))));
    let listed =
        tally.database.sql("SELECT count(*) FROM v_customer_insights WHERE life_cycle = 'new'").await;
    assert_eq!(listed, Some(1), "not lost, as it is by now");
}

async fn callers_share_a_pass(tally: Tally) {
    tally.simulate(&business(300, 11, time(AS_OF))).await;
    let calls = (0..8).map(|_| async {
        let request = v1::ListSegmentsRequest {
            segmentation: "abc".into(),
            as_of_time: Some(timestamp(time(AS_OF))),
            compare_to_time: None,
        };
        tally.insights().list_segments(request).await.unwrap().into_inner()
    });
    let found = futures_util::future::join_all(calls).await;
    assert!(found.iter().all(|response| response == &found[0]), "the same pass, known at the same time");
}

async fn who_has_gone_gets_no_pass(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    // One pass is made at a time.
    let others =
        InsightPass::start(&tally.app().insights, time("2024-05-10"), PassPurpose::OnDemand).await.unwrap();
    let request = v1::RefreshInsightsRequest { as_of_time: Some(timestamp(time("2024-05-20"))) };
    drop(tally.insights().refresh_insights(request).await.unwrap());
    // The server reads of one connection in order.
    for _ in 0..3 {
        tally.customer("ada").await.unwrap();
    }
    drop(others);
    // Those who wait get their turn in order.
    tally.refresh_insights(AS_OF).await.unwrap();
    let begun = tally.database.sql("SELECT count(*) FROM insight_passes").await;
    assert_eq!(begun, Some(2), "the one of the others and the last one");
}

async fn a_pass_that_others_are_compared_with_does_not_expire(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-01-01", 100)]).await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let tomorrow = tally_service::platform::clock::system_clock().plus_days(1);
    let all = PassExpiry { kept: tomorrow, on_demand: tomorrow };
    for (as_of, removed) in [("2024-04-10", 0), ("2024-04-20", 0), ("2024-04-25", 1)] {
        tally.refresh_insights(as_of).await.unwrap();
        // The one before is compared with until rules have looked at the new one.
        assert_eq!(store.remove_passes(all).await.unwrap(), removed, "{as_of}");
        let pass = store.pass_about(time(as_of)).await.unwrap().unwrap();
        store.mark_watched(pass.pass_id).await.unwrap();
    }
    let unwatched = UnwatchedPass { pass_id: 1, as_of: time(AS_OF), before: Some(1) };
    let gone = store.customer_changes(unwatched, None, 10).await;
    assert!(matches!(gone, Err(StoreError::Aborted)), "it was removed while it was read");
}

async fn rules_look_once_at_a_pass_that_other_settings_replace(tally: Tally) {
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-01-01", 100)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let pass = store.unwatched_pass().await.unwrap().unwrap();
    store.mark_watched(pass.pass_id).await.unwrap();
    let spec = InsightSpec { window_days: 100, ..InsightSpec::default() };
    let server = Tally::start_with_spec(tally.database.again(), spec).await;
    assert_eq!(server.sizes("abc", Some(AS_OF)).await, [("none".to_owned(), 1)]);
    assert_eq!(store.unwatched_pass().await.unwrap(), None);
    server.refresh_insights(AS_OF).await.unwrap();
    assert!(store.unwatched_pass().await.unwrap().is_some(), "one that was asked for is news");
}
