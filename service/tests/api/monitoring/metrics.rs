//! The metrics are those that the documentation lists, and have the figures that the RPCs return.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tally_model::{spec::Target, time::Time};
use tally_proto::v1;
use tally_service::{jobs::JobPlan, platform::clock::system_clock};
use tally_store::{Promotion, PromotionKind, Store, StoredEvaluation, StoredModel};
use tonic::Code;

use super::{NOW, drift_of};
use crate::support::{Tally, assert_refused, business, on_both_stores, time};

on_both_stores!(metrics_are_those_that_are_documented, a_model_that_cannot_be_read_is_counted);

/// The labels of lead/1.
const LEAD: &str = "{target=\"lead\",model=\"lead/1\"}";

/// All metrics: values by name with labels.
async fn read(tally: &Tally) -> HashMap<String, f64> {
    let (head, text) = tally.get("/metrics").await;
    assert!(head.contains("200 OK") && head.contains("application/openmetrics-text"), "{head}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(n, v)| (n.into(), v.parse().unwrap())).collect()
}

/// Reads the metrics until one of them is present and passes.
async fn wait_for(tally: &Tally, name: &str, passes: impl Fn(f64) -> bool) -> HashMap<String, f64> {
    let found = async {
        loop {
            let all = read(tally).await;
            if all.get(name).is_some_and(|value| passes(*value)) {
                return all;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await;
    found.unwrap_or_else(|_| panic!("{name} does not appear or does not pass"))
}

fn value(metrics: &HashMap<String, f64>, name: &str) -> f64 {
    metrics.get(name).copied().unwrap_or_else(|| panic!("{name} is not in {metrics:?}"))
}

/// The latest calendar month that ended at least this many days ago.
fn last_whole_month(days: i64) -> Time {
    let end = system_clock().plus_days(-days).month_start();
    end.plus_days(-1).month_start()
}

async fn metrics_are_those_that_are_documented(tally: Tally) {
    let month = last_whole_month(30);
    tally.simulate(&business(700, 11, month.plus_days(60))).await;
    let as_of = month.plus_days(3);
    tally.train(&["lead", "--as-of", &as_of.to_string()]);
    drift_of(&tally, "lead").await.unwrap_err();
    let scored = tally.score_population(v1::Target::Lead, as_of).await.unwrap();
    let metrics = wait_for(&tally, &format!("tally_realised_auc{LEAD}"), |auc| auc > 0.5).await;
    let population = value(&metrics, &format!("tally_population_customers{LEAD}"));
    assert_eq!(population, scored.stored as f64);
    let population_as_of = value(&metrics, &format!("tally_population_as_of_seconds{LEAD}"));
    assert_eq!(population_as_of, as_of.0 as f64 / 1e6);
    assert_drift(&tally, &metrics).await;
    assert_performance(&tally, &metrics).await;
    assert_eq!(value(&metrics, "tally_champion_version{target=\"lead\"}"), 1.0);
    assert_eq!(value(&metrics, "tally_model_refused_total{target=\"lead\"}"), 0.0);
    assert_calls(&tally, &metrics).await;
    assert_documented(&tally).await;
}

async fn assert_drift(tally: &Tally, metrics: &HashMap<String, f64>) {
    let drift = drift_of(tally, "lead").await.unwrap();
    let score = value(metrics, &format!("tally_drift_score_psi{LEAD}"));
    assert_eq!(score, drift.score.as_ref().unwrap().psi);
    for feature in &drift.features {
        let labels = format!("{{target=\"lead\",model=\"lead/1\",feature=\"{}\"}}", feature.feature);
        assert_eq!(value(metrics, &format!("tally_drift_feature_psi{labels}")), feature.psi);
    }
}

async fn assert_performance(tally: &Tally, metrics: &HashMap<String, f64>) {
    let request = v1::GetRealisedPerformanceRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let months = tally.models().get_realised_performance(request).await.unwrap().into_inner().months;
    assert_eq!(months.len(), 1);
    for (name, expected) in [
        ("rows", months[0].rows as f64),
        ("auc", months[0].auc.unwrap()),
        ("auc_lower", months[0].auc_lower.unwrap()),
        ("auc_upper", months[0].auc_upper.unwrap()),
        ("log_loss", months[0].log_loss),
        ("log_loss_lower", months[0].log_loss_lower.unwrap()),
        ("log_loss_upper", months[0].log_loss_upper.unwrap()),
        ("ece", months[0].ece),
        ("lift_at_10_percent", months[0].lift_at_10_percent.unwrap()),
    ] {
        assert_eq!(value(metrics, &format!("tally_realised_{name}{LEAD}")), expected, "{name}");
    }
}

/// Asserts the counts of a refused call, of a stream that has ended, and of a method that does not exist.
async fn assert_calls(tally: &Tally, metrics: &HashMap<String, f64>) {
    let calls =
        |method: &str, code: &str| format!("tally_rpc_calls_total{{method=\"{method}\",code=\"{code}\"}}");
    assert_eq!(value(metrics, &calls("tally.v1.ModelService/GetDrift", "FAILED_PRECONDITION")), 1.0);
    assert_eq!(value(metrics, &calls("tally.v1.PredictionService/ScorePopulation", "OK")), 1.0);
    let mut raw = tonic::client::Grpc::new(tally.channel.clone());
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::GetDriftRequest, v1::GetDriftResponse>::default();
    let path = "/tally.v1.ModelService/GuessAgain".parse().unwrap();
    raw.unary(tonic::Request::new(v1::GetDriftRequest::default()), path, codec).await.unwrap_err();
    let all = wait_for(tally, &calls("other", "UNIMPLEMENTED"), |calls| calls == 1.0).await;
    assert!(!all.keys().any(|name| name.contains("GuessAgain")), "callers cannot add labels");
    let durations = "tally_rpc_duration_seconds_count{method=\"tally.v1.PredictionService/ScorePopulation\"}";
    assert_eq!(all[durations], 1.0);
}

/// Asserts that the documented metrics and no others are served, here and by a server that runs jobs, and that no customer
/// is a label.
async fn assert_documented(tally: &Tally) {
    let plan = JobPlan { score_every: Some(Duration::from_secs(3_600)), train_every: None };
    let worker = Tally::start_with(tally.database.again(), system_clock, plan).await;
    wait_for(&worker, "tally_job_last_success_seconds{job=\"insights\"}", |time| time > 0.0).await;
    let text = tally.get("/metrics").await.1 + &worker.get("/metrics").await.1;
    assert!(!text.contains("C00"), "a customer is a label");
    let served: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.replace(" counter", "_total").split(' ').next().unwrap().to_owned())
        .collect();
    let documented: BTreeSet<String> = include_str!("../../../../docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `tally_"))
        .map(|line| format!("tally_{}", line.split(['`', '{']).next().unwrap()))
        .collect();
    assert_eq!(served, documented);
}

/// Stores an artifact that cannot be read, and makes it the champion.
async fn promote_unreadable(store: &dyn Store, target: Target, from: Option<i64>) {
    let model = StoredModel {
        target,
        version: 0,
        create_time: time(NOW),
        created_by: "somebody".into(),
        artifact: b"tally-model 1 nonsense\n{}".to_vec(),
        assessment: Default::default(),
        champion: false,
    };
    let evaluation = StoredEvaluation { evaluated: Vec::new(), incumbent: None, scores: Vec::new() };
    let to = store.insert_model(model, evaluation).await.unwrap();
    let promotion = Promotion {
        target,
        sequence: if from.is_some() { 2 } else { 1 },
        time: time(NOW),
        who: "somebody".into(),
        from,
        to,
        kind: PromotionKind::Promote,
        forced: true,
        reason: String::new(),
        gate_result: String::new(),
    };
    assert!(store.promote(promotion, "").await.unwrap());
}

async fn a_model_that_cannot_be_read_is_counted(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    tally.train(&["churn", "--as-of", NOW]);
    wait_for(&tally, "tally_champion_version{target=\"churn\"}", |version| version == 1.0).await;
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let refusals = |target: &str| format!("tally_model_refused_total{{target=\"{target}\"}}");
    for (target, from) in [(Target::Churn, Some(1)), (Target::Lead, None)] {
        promote_unreadable(&*store, target, from).await;
        wait_for(&tally, &refusals(&target.to_string()), |count| count > 0.0).await;
    }
    // A version counts once, however often it is read: a call that finds no champion reads it again.
    for _ in 0..3 {
        let request = v1::ScoreLeadRequest { customer_id: "nobody".into(), ..Default::default() };
        let refused = tally.score_lead(request).await;
        assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    }
    let metrics = read(&tally).await;
    for target in ["lead", "churn"] {
        assert_eq!(metrics[&refusals(target)], 1.0);
    }
    assert_eq!(metrics["tally_champion_version{target=\"churn\"}"], 1.0, "the champion before serves on");
}
