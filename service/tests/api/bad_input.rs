//! Bad input gets the contract's codes with field violations, and stores nothing.

use prost_types::{Timestamp, value::Kind};
use tally_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores, timestamp};

on_both_stores!(
    bad_customers_are_refused,
    bad_interactions_are_refused,
    bad_scoring_requests_are_refused,
    bad_lists_are_refused,
    bad_promotions_are_refused,
    messages_above_the_limit_are_refused,
    messages_that_cannot_be_decoded_are_refused,
);

const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_REQUEST");

async fn assert_empty(tally: &Tally) {
    let reply = tally.customers().list_customers(v1::ListCustomersRequest::default()).await.unwrap();
    assert_eq!(reply.into_inner().customers, [], "nothing is stored");
}

/// Times that are none, or not allowed.
fn bad_times() -> Vec<Timestamp> {
    let now = tally_service::platform::clock::system_clock();
    let seconds = |seconds| Timestamp { seconds, nanos: 0 };
    vec![
        seconds(-1),
        seconds(253_402_300_800),
        seconds(i64::MAX),
        seconds(i64::MIN),
        Timestamp { seconds: 0, nanos: -1 },
        Timestamp { seconds: 0, nanos: 1_000_000_000 },
        timestamp(now.plus_days(2)),
    ]
}

async fn bad_customers_are_refused(tally: Tally) {
    let good = || customer("good", "2024-01-01", &[]);
    let with = |change: &dyn Fn(&mut v1::Customer)| {
        let mut bad = good();
        bad.customer_id = "bad".into();
        change(&mut bad);
        bad
    };
    let attribute =
        |name: &str, kind: Kind| with(&|c| *c = customer("bad", "2024-01-01", &[(name, kind.clone())]));
    let long = "x".repeat(257);
    let mut cases = vec![
        (with(&|c| c.customer_id.clear()), "customer_id".to_owned()),
        (with(&|c| c.customer_id.clone_from(&long)), "customer_id".into()),
        (with(&|c| c.customer_id = "🦀".repeat(65)), "customer_id".into()),
        (with(&|c| c.customer_id = "a\0b".into()), "customer_id".into()),
        (with(&|c| c.customer_id = "a\nb".into()), "customer_id".into()),
        (with(&|c| c.name = "\0".into()), "name".into()),
        (with(&|c| c.name.clone_from(&long)), "name".into()),
        (attribute("", Kind::BoolValue(true)), "attributes.".into()),
        (attribute("n\u{7}", Kind::BoolValue(true)), "attributes.n\u{fffd}".into()),
        (attribute("nan", Kind::NumberValue(f64::NAN)), "attributes.nan".into()),
        (attribute("inf", Kind::NumberValue(f64::INFINITY)), "attributes.inf".into()),
        (attribute("long", Kind::StringValue("x".repeat(1_025))), "attributes.long".into()),
        (attribute("nul", Kind::StringValue("a\0".into())), "attributes.nul".into()),
        (attribute("nested", Kind::StructValue(Default::default())), "attributes.nested".into()),
        (attribute("list", Kind::ListValue(Default::default())), "attributes.list".into()),
    ];
    for time in bad_times() {
        cases.push((with(&|c| c.create_time = Some(time)), "create_time".into()));
    }
    let names: Vec<String> = (0..201).map(|n| format!("a{n}")).collect();
    let many: Vec<(&str, Kind)> = names.iter().map(|name| (name.as_str(), Kind::BoolValue(true))).collect();
    cases.push((customer("bad", "2024-01-01", &many), "attributes".into()));
    for (bad, field) in cases {
        let refused = tally.upsert(vec![good(), bad]).await;
        assert_refused(refused, INVALID.0, INVALID.1, &[&format!("customers[1].{field}")]);
    }
    assert_refused(tally.upsert(vec![]).await, INVALID.0, INVALID.1, &["customers"]);
    let many = (0..1_001).map(|n| customer(&format!("c{n}"), "2024-01-01", &[])).collect();
    assert_refused(tally.upsert(many).await, INVALID.0, INVALID.1, &["customers"]);
    let twice = tally.upsert(vec![good(), good()]).await;
    assert_refused(twice, INVALID.0, INVALID.1, &["customers[1].customer_id"]);
    assert_empty(&tally).await;
    let edge = vec![with(&|c| c.customer_id = "🦀".repeat(64)), with(&|c| c.customer_id = "x".repeat(256))];
    assert_eq!(tally.upsert(edge).await.unwrap(), 2, "the limit itself is allowed");
}

async fn bad_interactions_are_refused(tally: Tally) {
    let with = |change: &dyn Fn(&mut v1::Interaction)| {
        let mut bad = interaction("c", "i", "visit", "2024-01-01");
        change(&mut bad);
        bad
    };
    let property = |key: &str, value: &str| {
        with(&|i| {
            i.properties.insert(key.into(), value.into());
        })
    };
    let survey = |key: &str, value: &str| {
        with(&|i| {
            i.kind = "survey".into();
            i.properties.insert(key.into(), value.into());
        })
    };
    let mut cases = vec![
        (with(&|i| i.customer_id.clear()), "customer_id"),
        (with(&|i| i.customer_id = "x".repeat(257)), "customer_id"),
        (with(&|i| i.customer_id = "\0".into()), "customer_id"),
        (with(&|i| i.interaction_id.clear()), "interaction_id"),
        (with(&|i| i.interaction_id = "x".repeat(257)), "interaction_id"),
        (with(&|i| i.interaction_id = "a\0".into()), "interaction_id"),
        (with(&|i| i.kind.clear()), "kind"),
        (with(&|i| i.kind = "x".repeat(65)), "kind"),
        (with(&|i| i.kind = "a\tb".into()), "kind"),
        (with(&|i| i.channel = "x".repeat(65)), "channel"),
        (with(&|i| i.channel = "\0".into()), "channel"),
        (with(&|i| i.occur_time = None), "occur_time"),
        (with(&|i| i.amount_minor = Some(1_000_000_000_000_001)), "amount_minor"),
        (with(&|i| i.amount_minor = Some(i64::MIN)), "amount_minor"),
        (property("", "x"), "properties."),
        (property("k", "a\0"), "properties.k"),
        (property("k", &"x".repeat(1_025)), "properties.k"),
        (survey("score", "great"), "properties.score"),
        (survey("score", "NaN"), "properties.score"),
        (survey("expected", "0"), "properties.expected"),
    ];
    for time in bad_times() {
        cases.push((with(&|i| i.occur_time = Some(time)), "occur_time"));
    }
    cases.push((
        with(&|i| i.properties = (0..51).map(|n| (n.to_string(), String::new())).collect()),
        "properties",
    ));
    for (bad, field) in cases {
        let refused = tally.backfill(vec![interaction("c", "good", "visit", "2024-01-01"), bad]).await;
        assert_refused(refused, INVALID.0, INVALID.1, &[&format!("interactions[1].{field}")]);
    }
    let several = with(&|i| {
        i.kind.clear();
        i.interaction_id.clear();
        i.occur_time = None;
    });
    let fields = ["interactions[0].interaction_id", "interactions[0].kind", "interactions[0].occur_time"];
    assert_refused(tally.backfill(vec![several]).await, INVALID.0, INVALID.1, &fields);
    // However much is wrong, the error reaches the client: it travels in a header.
    let worst = with(&|i| {
        i.interaction_id.clear();
        i.kind.clear();
        i.properties = (0..40).map(|n| (format!("{n:064}"), "x".repeat(1_025))).collect();
    });
    for batch in [vec![with(&|i| i.interaction_id.clear()); 10_000], vec![worst; 80]] {
        let refused = tally.backfill(batch).await.unwrap_err();
        let named = refused.get_details_bad_request().unwrap().field_violations.len();
        assert!(refused.code() == Code::InvalidArgument && (1..=100).contains(&named), "{refused:?}");
        assert!(refused.details().len() < 6_000, "{}", refused.details().len());
    }
    assert_refused(tally.backfill(vec![]).await, INVALID.0, INVALID.1, &["interactions"]);
    let many = |n: usize| {
        (0..n).map(|n| interaction("c", &n.to_string(), "visit", "2024-01-01")).collect::<Vec<_>>()
    };
    assert_refused(tally.backfill(many(10_001)).await, INVALID.0, INVALID.1, &["interactions"]);
    assert_empty(&tally).await;
    assert_eq!(tally.backfill(many(10_000)).await.unwrap(), (10_000, 0), "the limit itself is allowed");
}

async fn bad_scoring_requests_are_refused(tally: Tally) {
    let churn = |change: &dyn Fn(&mut v1::PredictChurnRequest)| {
        let mut request = v1::PredictChurnRequest { customer_id: "c".into(), ..Default::default() };
        change(&mut request);
        let mut client = tally.scoring();
        async move { client.predict_churn(request).await }
    };
    assert_refused(churn(&|_| ()).await, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    assert_refused(churn(&|r| r.customer_id.clear()).await, INVALID.0, INVALID.1, &["customer_id"]);
    assert_refused(churn(&|r| r.customer_id = "\0".into()).await, INVALID.0, INVALID.1, &["customer_id"]);
    assert_refused(churn(&|r| r.max_reasons = -2).await, INVALID.0, INVALID.1, &["max_reasons"]);
    assert_refused(churn(&|r| r.model = "churn/1".into()).await, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    for model in [
        "lead/1",
        "churn",
        "churn/0",
        "churn/-1",
        "churn/+1",
        "churn/1/2",
        "../churn/1",
        "churn/99999999999999999999",
    ] {
        assert_refused(churn(&|r| r.model = model.into()).await, INVALID.0, INVALID.1, &["model"]);
    }
    for bad in bad_times() {
        assert_refused(churn(&|r| r.as_of_time = Some(bad)).await, INVALID.0, INVALID.1, &["as_of_time"]);
    }
    for ids in [vec![], vec!["c".to_owned(); 10_001]] {
        let request = v1::BatchPredictChurnRequest { customer_ids: ids, ..Default::default() };
        let refused = tally.scoring().batch_predict_churn(request).await;
        assert_refused(refused, INVALID.0, INVALID.1, &["customer_ids"]);
    }
    for target in [0, 99, -1] {
        let request = v1::ScorePopulationRequest { target, ..Default::default() };
        let refused = tally.predictions().score_population(request).await;
        assert_refused(refused, INVALID.0, INVALID.1, &["target"]);
    }
    let request = v1::ScorePopulationRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let refused = tally.predictions().score_population(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
}

async fn bad_lists_are_refused(tally: Tally) {
    tally.upsert((0..3).map(|n| customer(&format!("c{n}"), "2024-01-01", &[])).collect()).await.unwrap();
    let list = |page_size, page_token: &str| {
        let request = v1::ListCustomersRequest { page_size, page_token: page_token.to_owned() };
        let mut client = tally.customers();
        async move { client.list_customers(request).await }
    };
    assert_refused(list(-1, "").await, INVALID.0, INVALID.1, &["page_size"]);
    assert_eq!(list(1_000_000_000, "").await.unwrap().into_inner().customers.len(), 3, "too many are cut");
    let token = list(1, "").await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    for n in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[n] = if forged[n] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_refused(list(1, &forged).await, INVALID.0, INVALID.1, &["page_token"]);
    }
    let request = v1::ListModelsRequest { page_token: token, ..Default::default() };
    let other_list = tally.models().list_models(request).await;
    assert_refused(other_list, INVALID.0, INVALID.1, &["page_token"]);
    type Change = fn(&mut v1::ListPredictionsRequest);
    let predictions: [(Change, &str); 7] = [
        (|r| r.target = 0, "target"),
        (|r| r.min_probability = Some(f64::NAN), "min_probability"),
        (|r| r.max_probability = Some(1.1), "max_probability"),
        (|r| r.grades = vec![7], "grades[0]"),
        (|r| r.order_by = "probability".into(), "order_by"),
        (|r| r.model = "lead/1".into(), "model"),
        (|r| r.customer_id = "\0".into(), "customer_id"),
    ];
    for (change, field) in predictions {
        let mut request =
            v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() };
        change(&mut request);
        let refused = tally.predictions().list_predictions(request).await;
        assert_refused(refused, INVALID.0, INVALID.1, &[field]);
    }
    let refused = tally.models().get_model(v1::GetModelRequest { model: "best".into() }).await;
    assert_refused(refused, INVALID.0, INVALID.1, &["model"]);
    let unknown = tally.models().get_model(v1::GetModelRequest { model: "lead/3".into() }).await;
    assert_refused(unknown, Code::NotFound, "MODEL_NOT_FOUND", &[]);
}

async fn bad_promotions_are_refused(tally: Tally) {
    type Change = fn(&mut v1::PromoteModelRequest);
    let cases: [(Change, &str); 7] = [
        (|r| r.model.clear(), "model"),
        (|r| r.model = "churn".into(), "model"),
        (|r| r.model = "churn/0".into(), "model"),
        (|r| r.reason = "x".repeat(1_025), "reason"),
        (|r| r.reason = "\u{1b}[2J".into(), "reason"),
        (|r| r.requested_by = "x".repeat(257), "requested_by"),
        (|r| r.requested_by = "\0".into(), "requested_by"),
    ];
    for (change, field) in cases {
        let mut request =
            v1::PromoteModelRequest { model: "churn/1".into(), force: true, ..Default::default() };
        change(&mut request);
        let refused = tally.models().promote_model(request).await;
        assert_refused(refused, INVALID.0, INVALID.1, &[field]);
    }
    let request = v1::PromoteModelRequest { model: "churn/1".into(), force: true, ..Default::default() };
    let unknown = tally.models().promote_model(request).await;
    assert_refused(unknown, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    let request = v1::RollbackModelRequest { reason: "\n".into(), ..Default::default() };
    let refused = tally.models().rollback_model(request).await;
    assert_refused(refused, INVALID.0, INVALID.1, &["target", "reason"]);
    let request = v1::RollbackModelRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let refused = tally.models().rollback_model(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    let request = v1::PreviewPromotionRequest { model: "lead".into(), as_of_time: Some(bad_times()[0]) };
    let refused = tally.models().preview_promotion(request).await;
    assert_refused(refused, INVALID.0, INVALID.1, &["model", "as_of_time"]);
    let request = v1::PreviewPromotionRequest { model: "lead/1".into(), as_of_time: None };
    let refused = tally.models().preview_promotion(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    let request = v1::ListPromotionsRequest { page_size: -1, ..Default::default() };
    let refused = tally.models().list_promotions(request).await;
    assert_refused(refused, INVALID.0, INVALID.1, &["target", "page_size"]);
}

async fn messages_above_the_limit_are_refused(tally: Tally) {
    let mut large = interaction("c", "i", "visit", "2024-01-01");
    large.properties = (0..50).map(|n| (n.to_string(), "x".repeat(1_000))).collect();
    let refused = tally.backfill(vec![large; 100]).await;
    assert!(refused.as_ref().unwrap_err().message().contains("4194304 bytes"), "{refused:?}");
    assert_refused(refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
    assert_empty(&tally).await;
}

async fn messages_that_cannot_be_decoded_are_refused(tally: Tally) {
    // Field 1 is a number here, and a list of messages there.
    let mut raw = tonic::client::Grpc::new(tally.channel.clone());
    let path = "/tally.v1.CustomerService/UpsertCustomers".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<v1::ListCustomersRequest, v1::UpsertCustomersResponse>::default();
    raw.ready().await.unwrap();
    let foreign = tonic::Request::new(v1::ListCustomersRequest { page_size: 5, ..Default::default() });
    let refused = raw.unary(foreign, path, codec).await;
    assert_refused(refused, INVALID.0, INVALID.1, &["message"]);
    assert_empty(&tally).await;
}
