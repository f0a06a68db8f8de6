//! Scores: the same bits whichever way they are asked for, exactly explained, on both databases.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use prost::Message;
use prost_types::value::Kind;
use tally_model::{simulate::Business, time::Time};
use tally_proto::{
    EncodedBatch,
    v1::{self, batch_result::Result as Item},
};
use tally_service::platform::clock::system_clock;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    Database, Tally, assert_refused, customer, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    a_score_is_the_same_bits_alone_in_a_batch_and_in_the_population,
    contributions_add_up_to_the_log_odds,
    a_bad_id_never_sinks_its_batch,
    results_of_a_batch_are_the_bytes_that_prost_writes,
    parts_of_a_population_share_the_run,
    predictions_are_filtered_ordered_and_paged,
    late_knowledge_and_later_attributes_do_not_change_the_past_of_training,
    a_champion_is_picked_up_and_health_follows,
    model_cards_tell_all,
    subscriptions_are_scored_by_their_cancellations,
    a_better_model_is_promoted_and_a_worse_one_is_not,
);

const NOW: &str = "2024-06-01";

/// A small simulated business that ends at [`NOW`].
fn business() -> Business {
    Business { customers: 700, ..Business::new(11, time(NOW)) }
}

/// A server with the business and both models.
async fn trained(tally: &Tally) {
    tally.simulate(&business()).await;
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", NOW]);
    }
}

fn churn_request(id: &str, as_of: Time, max_reasons: i32) -> v1::PredictChurnRequest {
    v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        as_of_time: Some(timestamp(as_of)),
        max_reasons,
        ..Default::default()
    }
}

fn list(target: v1::Target) -> v1::ListPredictionsRequest {
    v1::ListPredictionsRequest { target: target.into(), ..Default::default() }
}

/// What two scores have in common when they say the same: everything but when and where.
fn same(a: &v1::Score, b: &v1::Score) -> bool {
    let bare = |score: &v1::Score| v1::Score {
        prediction_id: String::new(),
        score_time: None,
        known_time: None,
        ..score.clone()
    };
    bare(a) == bare(b) && a.probability.to_bits() == b.probability.to_bits()
}

async fn a_score_is_the_same_bits_alone_in_a_batch_and_in_the_population(tally: Tally) {
    trained(&tally).await;
    for as_of in [time(NOW), time("2024-01-15T10:11:12.123456Z")] {
        let last = tally.score_population(v1::Target::Churn, as_of).await.unwrap();
        assert_eq!((last.done, last.total), (700, 700));
        let mut stored = tally
            .all_predictions(v1::ListPredictionsRequest {
                latest_only: Some(false),
                ..list(v1::Target::Churn)
            })
            .await;
        stored.retain(|score| score.as_of_time == Some(timestamp(as_of)));
        assert_eq!(stored.len() as i64, last.stored);
        assert!(stored.len() > 100, "{}", stored.len());
        let request = v1::BatchPredictChurnRequest {
            customer_ids: stored.iter().map(|score| score.customer_id.clone()).collect(),
            as_of_time: Some(timestamp(as_of)),
            ..Default::default()
        };
        let batch = tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results;
        assert_eq!(batch.len(), stored.len());
        for (stored, item) in stored.iter().zip(batch) {
            let Some(Item::Score(of_batch)) = item.result else { panic!("{item:?}") };
            assert!(same(stored, &of_batch), "{stored:?}\n{of_batch:?}");
        }
        for stored in &stored[..40] {
            let alone = tally.scoring().predict_churn(churn_request(&stored.customer_id, as_of, 0)).await;
            let alone = alone.unwrap().into_inner();
            assert!(same(stored, &alone), "{stored:?}\n{alone:?}");
            assert!(alone.prediction_id.is_empty() && !stored.prediction_id.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_give_the_same_model_and_the_same_scores_in_whatever_order_things_arrive() {
    let stores = [Tally::start(Database::sqlite()).await, Tally::start(Database::postgres().await).await];
    let mut cards = Vec::new();
    let mut scores = Vec::new();
    for (n, tally) in stores.iter().enumerate() {
        if n == 0 {
            tally.simulate(&business()).await;
        } else {
            tally.simulate_in_disorder(&business()).await;
        }
        tally.train(&["lead", "--as-of", NOW]);
        tally.train(&["churn", "--as-of", NOW]);
        let request = v1::GetModelRequest { model: "churn".into() };
        cards
            .push(tally.models().get_model(request).await.unwrap().into_inner().model.unwrap().artifact_hash);
        tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
        let mut all = tally.all_predictions(list(v1::Target::Lead)).await;
        all.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
        scores.push(all);
    }
    assert_eq!(cards[0], cards[1], "the artifact is the same to the byte");
    assert_eq!(scores[0].len(), scores[1].len());
    assert!(scores[0].iter().zip(&scores[1]).all(|(a, b)| same(a, b)));
}

async fn contributions_add_up_to_the_log_odds(tally: Tally) {
    trained(&tally).await;
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    for score in tally.all_predictions(list(v1::Target::Churn)).await.iter().take(50) {
        let all = tally.scoring().predict_churn(churn_request(&score.customer_id, time(NOW), -1)).await;
        let all = all.unwrap().into_inner();
        let sum: f64 = all.base_log_odds + all.reasons.iter().map(|reason| reason.contribution).sum::<f64>();
        let log_odds = (all.probability / (1.0 - all.probability)).ln();
        assert!((sum - log_odds).abs() < 1e-9, "{sum} {log_odds}");
        assert!(
            0.0 < all.lower && all.lower < all.probability && all.probability < all.upper && all.upper < 1.0
        );
        assert!(all.reasons.len() > 3 && all.reasons.iter().all(|reason| !reason.text.is_empty()));
        let strengths: Vec<f64> = all.reasons.iter().map(|reason| reason.contribution.abs()).collect();
        assert!(strengths.windows(2).all(|pair| pair[0] >= pair[1]), "strongest first");
        assert_eq!(score.reasons, all.reasons[..3], "three when nothing else is asked for");
        let one = tally.scoring().predict_churn(churn_request(&score.customer_id, time(NOW), 1)).await;
        assert_eq!(one.unwrap().into_inner().reasons, all.reasons[..1]);
    }
}

async fn a_bad_id_never_sinks_its_batch(tally: Tally) {
    trained(&tally).await;
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let lead = tally.all_predictions(list(v1::Target::Lead)).await.remove(0).customer_id;
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let buyer = tally.all_predictions(list(v1::Target::Churn)).await.remove(0).customer_id;
    let ids = [&lead, "nobody", "", &buyer, "silent", &lead, "a\0b"].map(str::to_owned);
    for persist in [false, true] {
        let request = v1::BatchScoreLeadsRequest {
            customer_ids: ids.to_vec(),
            as_of_time: Some(timestamp(time(NOW))),
            persist,
            ..Default::default()
        };
        let results = tally.scoring().batch_score_leads(request).await.unwrap().into_inner().results;
        let outcome = |item: &v1::BatchResult| match item.result.as_ref().unwrap() {
            Item::Score(score) => Ok((score.customer_id.clone(), score.basis())),
            Item::Status(status) => Err(Code::from_i32(status.code)),
        };
        assert_eq!(
            results.iter().map(outcome).collect::<Vec<_>>(),
            [
                Ok((lead.clone(), v1::Basis::Model)),
                Err(Code::NotFound),
                Err(Code::InvalidArgument),
                Err(Code::FailedPrecondition),
                Ok(("silent".to_owned(), v1::Basis::Cold)),
                Ok((lead.clone(), v1::Basis::Model)),
                Err(Code::InvalidArgument),
            ]
        );
    }
    let persisted = v1::ListPredictionsRequest { customer_id: "silent".into(), ..list(v1::Target::Lead) };
    let cold = tally.all_predictions(persisted).await.remove(0);
    let log_odds = (cold.probability / (1.0 - cold.probability)).ln();
    assert!(
        (cold.base_log_odds - log_odds).abs() < 1e-9 && cold.reasons.is_empty(),
        "the score of an average one"
    );
    let alone = tally.scoring().predict_churn(churn_request(&lead, time(NOW), 0)).await;
    assert_refused(alone, Code::FailedPrecondition, "NOT_A_BUYER", &[]);
    let request = v1::ScoreLeadRequest {
        customer_id: buyer,
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    assert_refused(tally.scoring().score_lead(request).await, Code::FailedPrecondition, "NOT_A_LEAD", &[]);
    let nobody = tally.scoring().predict_churn(churn_request("nobody", time(NOW), 0)).await;
    assert_refused(nobody, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn results_of_a_batch_are_the_bytes_that_prost_writes(tally: Tally) {
    trained(&tally).await;
    // A length that takes two bytes, a letter that takes two, and nothing to tell.
    let (long, short) = ("a".repeat(256), "Ø".to_owned());
    let north: &[(&str, Kind)] = &[("region", Kind::StringValue("north".to_owned()))];
    let own = [(&long, north), (&short, north), (&"silent".to_owned(), &[])];
    tally.upsert(own.map(|(id, attributes)| customer(id, "2024-01-01", attributes)).to_vec()).await.unwrap();
    let own = own.into_iter().map(|(id, _)| id.clone());
    let customer_ids: Vec<String> = business().iter().map(|one| one.customer_id.clone()).chain(own).collect();
    let mut client = tonic::client::Grpc::new(tally.channel.clone()).max_decoding_message_size(64 << 20);
    let soon = timestamp(Time(system_clock().0 + 3_600_000_000));
    let past = timestamp(time("2023-12-31T23:59:59.999999Z"));
    let (mut kinds, mut missing) = (HashSet::new(), BTreeSet::new());
    for max_reasons in [0, 1, -1] {
        for as_of_time in [None, Some(soon), Some(timestamp(time(NOW))), Some(past)] {
            let request = v1::BatchScoreLeadsRequest {
                customer_ids: customer_ids.clone(),
                as_of_time,
                max_reasons,
                ..Default::default()
            };
            client.ready().await.unwrap();
            let path = "/tally.v1.ScoringService/BatchScoreLeads".parse().unwrap();
            let codec = tonic_prost::ProstCodec::<_, EncodedBatch>::default();
            let reply = client.unary(tonic::Request::new(request), path, codec).await.unwrap().into_inner();
            assert_eq!(reply.results.len(), customer_ids.len());
            for (bytes, id) in reply.results.iter().zip(&customer_ids) {
                let result = v1::BatchResult::decode(&**bytes).unwrap();
                assert_eq!(result.encode_to_vec(), *bytes, "{result:?}");
                let Some(Item::Score(score)) = result.result else { continue };
                assert_eq!(score.customer_id, *id);
                let (known, as_of) = (score.known_time.unwrap(), score.as_of_time.unwrap());
                assert_eq!(known.seconds < as_of.seconds, as_of_time == Some(soon), "{score:?}");
                for reason in &score.reasons {
                    let value = reason.value.as_ref().unwrap().kind.as_ref().unwrap();
                    kinds.insert(std::mem::discriminant(value));
                }
                missing.insert(score.missing_features.len());
            }
        }
    }
    assert_eq!(kinds.len(), 4, "numbers, booleans, words and nothing");
    assert!(missing.contains(&0) && missing.len() > 2, "{missing:?}");
}

async fn parts_of_a_population_share_the_run(tally: Tally) {
    trained(&tally).await;
    let as_of_time = Some(timestamp(time(NOW)));
    let churn = v1::Target::Churn;
    let part = async |partition, partitions| {
        let request = v1::ScorePopulationRequest {
            target: churn.into(),
            as_of_time,
            partitions,
            partition,
            ..Default::default()
        };
        let mut stream = tally.predictions().score_population(request).await?.into_inner();
        let mut stored = 0;
        while let Some(message) = stream.message().await? {
            assert!(message.stored <= message.done && message.done <= message.total);
            stored = message.stored;
        }
        Ok::<_, tonic::Status>(stored)
    };
    let mut sizes = Vec::new();
    for number in 0..3 {
        sizes.push(part(number, 3).await.unwrap());
        // What a run has told of is stored, and nobody is scored twice.
        let everything = v1::ListPredictionsRequest { latest_only: Some(false), ..list(churn) };
        assert_eq!(tally.all_predictions(everything).await.len() as i64, sizes.iter().sum::<i64>());
    }
    let in_parts = tally.all_predictions(list(churn)).await;
    let whole = tally.score_population(churn, time(NOW)).await.unwrap();
    assert_eq!(sizes.iter().sum::<i64>(), whole.stored);
    assert!(sizes.iter().all(|size| 4 * size > whole.stored), "{sizes:?}");
    let at_once: HashMap<String, v1::Score> =
        tally.all_predictions(list(churn)).await.into_iter().map(|s| (s.customer_id.clone(), s)).collect();
    assert_eq!(at_once.len(), in_parts.len());
    assert!(in_parts.iter().all(|score| same(score, &at_once[&score.customer_id])));
    for (partition, partitions, field) in [
        (3, 3, "partition"),
        (-1, 2, "partition"),
        (1, 0, "partition"),
        (0, -1, "partitions"),
        (0, 10_001, "partitions"),
    ] {
        let refused = part(partition, partitions).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}

async fn predictions_are_filtered_ordered_and_paged(tally: Tally) {
    trained(&tally).await;
    for as_of in ["2024-03-01", NOW, "2024-01-01"] {
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    }
    let latest =
        tally.all_predictions(v1::ListPredictionsRequest { page_size: 7, ..list(v1::Target::Churn) }).await;
    let customers: HashSet<&str> = latest.iter().map(|score| score.customer_id.as_str()).collect();
    assert_eq!(customers.len(), latest.len(), "one a customer");
    assert!(latest.iter().all(|score| score.as_of_time == Some(timestamp(time(NOW)))), "the greatest as_of");
    assert!(latest.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
    let all = tally
        .all_predictions(v1::ListPredictionsRequest {
            latest_only: Some(false),
            order_by: "score_time desc".into(),
            ..list(v1::Target::Churn)
        })
        .await;
    assert!(all.len() > latest.len());
    let moments: Vec<_> = all.iter().map(|score| score.score_time.map(|t| (t.seconds, t.nanos))).collect();
    assert!(moments.windows(2).all(|pair| pair[0] >= pair[1]));
    let (low, high) = (latest[latest.len() / 2].probability, latest[10].probability);
    let between = v1::ListPredictionsRequest {
        min_probability: Some(low),
        max_probability: Some(high),
        ..list(v1::Target::Churn)
    };
    let wanted = latest.iter().filter(|score| (low..=high).contains(&score.probability)).count();
    assert_eq!(tally.all_predictions(between).await.len(), wanted);
    let graded = v1::ListPredictionsRequest {
        grades: vec![v1::Grade::A.into(), v1::Grade::D.into()],
        ..list(v1::Target::Churn)
    };
    let graded = tally.all_predictions(graded).await;
    let wanted = latest.iter().filter(|score| [v1::Grade::A, v1::Grade::D].contains(&score.grade())).count();
    assert!(graded.len() == wanted && wanted > 0);
    // The best grade has the least probability of leaving.
    let mean = |grade: v1::Grade| {
        let own: Vec<f64> = graded.iter().filter(|s| s.grade() == grade).map(|s| s.probability).collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    assert!(mean(v1::Grade::A) < mean(v1::Grade::D));
    let other_model = v1::ListPredictionsRequest { model: "churn/2".into(), ..list(v1::Target::Churn) };
    assert_eq!(tally.all_predictions(other_model).await.len(), 0);
    assert_eq!(tally.all_predictions(list(v1::Target::Lead)).await.len(), 0);
    let gone = latest[0].customer_id.clone();
    tally.customers().delete_customer(v1::DeleteCustomerRequest { customer_id: gone }).await.unwrap();
    assert_eq!(tally.all_predictions(list(v1::Target::Churn)).await.len(), latest.len() - 1);
}

async fn late_knowledge_and_later_attributes_do_not_change_the_past_of_training(tally: Tally) {
    trained(&tally).await;
    // Recorded now, so training at NOW (in the past) must not see it; and a new set of attributes.
    let customers: Vec<String> = business().iter().take(50).map(|customer| customer.customer_id).collect();
    let late = |id: &String| interaction(id, "late", "purchase", "2024-05-01");
    let request =
        v1::RecordInteractionsRequest { interactions: customers.iter().map(late).collect(), backfill: false };
    tally.interactions().record_interactions(request).await.unwrap();
    let mut changed: Vec<v1::Customer> = customers.iter().map(|id| customer(id, NOW, &[])).collect();
    changed.iter_mut().for_each(|customer| customer.create_time = None);
    tally.upsert(changed).await.unwrap();
    tally.train(&["churn", "--as-of", NOW]);
    let card = |model: &str| {
        let request = v1::GetModelRequest { model: model.to_owned() };
        let mut client = tally.models();
        async move { client.get_model(request).await.unwrap().into_inner().model.unwrap() }
    };
    // Nor does a score about then, asked for now.
    let business = business();
    let lead = business.iter().find(|c| !c.interactions.iter().any(|i| i.kind == "purchase")).unwrap();
    let buy = interaction(&lead.customer_id, "late", "purchase", "2024-05-01");
    let request = v1::RecordInteractionsRequest { interactions: vec![buy], backfill: false };
    tally.interactions().record_interactions(request).await.unwrap();
    let alone = tally.scoring().predict_churn(churn_request(&lead.customer_id, time(NOW), 0)).await;
    assert_refused(alone, Code::FailedPrecondition, "NOT_A_BUYER", &[]);
    let (before, after) = (card("churn/1").await, card("churn/2").await);
    assert_eq!(before.artifact_hash, after.artifact_hash, "the same data as of then: the same artifact");
    assert!(before.champion && !after.champion, "and no reason to change champions");
}

async fn a_champion_is_picked_up_and_health_follows(tally: Tally) {
    const SCORING: &str = "tally.v1.ScoringService";
    let mut health = HealthClient::new(tally.channel.clone());
    let check = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["", "tally.v1.CustomerService", "tally.v1.InteractionService", "tally.v1.ModelService"] {
        let status = health.check(check(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service}");
    }
    let mut watched = health.watch(check(SCORING)).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    tally.simulate(&business()).await;
    tally.train(&["churn", "--as-of", NOW]);
    // The server hears of it by itself: no restart, no request.
    let seen = tokio::time::timeout(Duration::from_secs(5), watched.message()).await;
    assert_eq!(seen.expect("within 5 s").unwrap().unwrap().status(), ServingStatus::Serving);
    tally.train(&["churn", "--as-of", NOW, "--horizon-days", "60", "--promote", "always"]);
    let id = business().iter().find(|customer| customer.interactions.iter().any(|i| i.kind == "purchase"));
    let id = id.unwrap().customer_id;
    let picked_up = async {
        loop {
            let score =
                tally.scoring().predict_churn(churn_request(&id, time(NOW), 0)).await.unwrap().into_inner();
            if score.model == "churn/2" {
                break score.horizon_days;
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), picked_up).await, Ok(60));
    let mut by_name = churn_request(&id, time(NOW), 0);
    by_name.model = "churn/1".into();
    let score = tally.scoring().predict_churn(by_name).await.unwrap().into_inner();
    assert_eq!((score.model.as_str(), score.horizon_days), ("churn/1", 90));
}

async fn model_cards_tell_all(tally: Tally) {
    trained(&tally).await;
    tally.train(&["churn", "--as-of", "2024-05-01", "--promote", "never", "--seed", "9"]);
    let request = v1::ListModelsRequest { page_size: 2, ..Default::default() };
    let first = tally.models().list_models(request.clone()).await.unwrap().into_inner();
    let request = v1::ListModelsRequest { page_token: first.next_page_token.clone(), ..request };
    let second = tally.models().list_models(request).await.unwrap().into_inner();
    let names: Vec<&str> =
        first.models.iter().chain(&second.models).map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["churn/2", "churn/1", "lead/1"]);
    assert!(second.next_page_token.is_empty());
    let card = tally.models().get_model(v1::GetModelRequest { model: "churn".into() }).await.unwrap();
    let card = card.into_inner().model.unwrap();
    assert_eq!((card.name.as_str(), card.champion, card.target()), ("churn/1", true, v1::Target::Churn));
    assert_eq!((card.as_of_time, card.horizon_days), (Some(timestamp(time(NOW))), 90));
    let holdout = card.holdout.unwrap();
    assert!(holdout.auc > 0.7 && holdout.rows > 200 && holdout.positives > 50, "{holdout:?}");
    let baselines: HashMap<&str, f64> =
        card.baselines.iter().map(|b| (b.name.as_str(), b.metrics.unwrap().log_loss)).collect();
    assert!(holdout.log_loss < baselines["purchase.days_since_last"]);
    assert!(baselines["purchase.days_since_last"] < baselines["base_rate"]);
    assert_eq!((card.reliability.len(), card.split.as_str()), (10, "temporal"));
    assert!(card.coefficients.iter().all(|c| c.standard_error > 0.0) && card.coefficients.len() > 10);
    assert!(card.spec.contains("horizon_days = 90") && card.created_by.contains('@'));
    assert_eq!((card.schema_hash.len(), card.artifact_hash.len()), (64, 64));
}

async fn subscriptions_are_scored_by_their_cancellations(tally: Tally) {
    let business = Business { subscription: true, ..business() };
    tally.simulate(&business).await;
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, "[churn]\nevent = \"cancel\"\nhorizon_days = 60\n").unwrap();
    tally.train(&["churn", "--as-of", NOW, "--spec", crate::support::text(&spec)]);
    let did = |customer: &tally_model::simulate::SimulatedCustomer, kind: &str| {
        customer.interactions.iter().any(|interaction| interaction.kind == kind)
    };
    let gone = business.iter().find(|customer| did(customer, "cancel")).unwrap().customer_id;
    let lead = business.iter().find(|c| !did(c, "purchase") && !did(c, "cancel")).unwrap().customer_id;
    let refused = tally.scoring().predict_churn(churn_request(&gone, time(NOW), 0)).await;
    assert_refused(refused, Code::FailedPrecondition, "ALREADY_CANCELLED", &[]);
    let score = tally.scoring().predict_churn(churn_request(&lead, time(NOW), 0)).await.unwrap().into_inner();
    assert_eq!((score.horizon_days, score.basis()), (60, v1::Basis::Model), "everybody can cancel");
    let last = tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let cancelled = business.iter().filter(|customer| did(customer, "cancel")).count() as i64;
    assert_eq!(last.stored, 700 - cancelled);
}

async fn a_better_model_is_promoted_and_a_worse_one_is_not(tally: Tally) {
    tally.simulate(&business()).await;
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("poor.toml");
    std::fs::write(&spec, "[features]\nkinds = []\nwindows_days = []\nattributes = []\n").unwrap();
    let poor = ["churn", "--spec", crate::support::text(&spec), "--as-of"];
    let told = tally.train(&[poor.as_slice(), &["2024-03-01"]].concat());
    assert!(told.contains("churn/1 now serves: there was no champion"), "{told}");
    // Later data: judged on what the champion has not seen. The same data: on the common holdout.
    let told = tally.train(&["churn", "--as-of", NOW]);
    assert!(told.contains("churn/2 now serves: better than churn/1"), "{told}");
    let told = tally.train(&[poor.as_slice(), &[NOW]].concat());
    assert!(told.contains("churn/3 stored, does not serve: worse than churn/2"), "{told}");
    let told = tally.train(&["churn", "--as-of", NOW, "--horizon-days", "60"]);
    assert!(told.contains("churn/4 stored, does not serve: not comparable with churn/2"), "{told}");
    let told = tally.train(&[poor.as_slice(), &[NOW, "--promote", "always"]].concat());
    assert!(told.contains("churn/5 now serves: promotion was asked for"), "{told}");
    let told = tally.train(&["churn", "--as-of", NOW]);
    assert!(told.contains("churn/6 now serves: better than churn/5"), "{told}");
}
