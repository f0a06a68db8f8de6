//! Watching: drift and realised performance against what the test itself knows, and the metrics.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use tally_model::{
    simulate::{Business, SimulatedCustomer},
    time::Time,
};
use tally_proto::v1::{self, drift_bin::Bin};
use tally_service::platform::clock::system_clock;
use tonic::Code;

use crate::support::{
    Tally, assert_refused, customer, interaction, on_both_stores, program, simulated_customer,
    simulated_interactions, time, timestamp,
};

on_both_stores!(
    drift_finds_what_has_moved_and_nothing_else,
    realised_performance_is_what_happened,
    metrics_tell_what_is_documented,
    a_model_that_cannot_be_read_raises_an_alarm,
);

const NOW: &str = "2024-06-01";

fn business() -> Business {
    Business { customers: 700, ..Business::new(11, time(NOW)) }
}

async fn drift(tally: &Tally, model: &str) -> Result<v1::GetDriftResponse, tonic::Status> {
    let request = v1::GetDriftRequest { model: model.to_owned() };
    Ok(tally.models().get_drift(request).await?.into_inner())
}

fn feature<'a>(drift: &'a v1::GetDriftResponse, name: &str) -> &'a v1::FeatureDrift {
    drift.features.iter().find(|feature| feature.feature == name).unwrap()
}

/// The index by its definition, from shares and sizes.
fn psi(drift: &v1::FeatureDrift, training: i64, population: i64) -> f64 {
    let used: Vec<_> =
        drift.bins.iter().filter(|bin| bin.training_share + bin.population_share > 0.0).collect();
    let half = used.len() as f64 / 2.0;
    let share = |share: f64, rows: i64| (share * rows as f64 + 0.5) / (rows as f64 + half);
    let terms = used.iter().map(|bin| {
        let (p, q) = (share(bin.training_share, training), share(bin.population_share, population));
        (q - p) * (q / p).ln()
    });
    terms.sum()
}

async fn drift_finds_what_has_moved_and_nothing_else(tally: Tally) {
    tally.simulate(&business()).await;
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    tally.train(&["lead", "--as-of", NOW]);
    assert_refused(drift(&tally, "lead").await, Code::FailedPrecondition, "NO_POPULATION", &[]);
    assert_refused(drift(&tally, "lead/9").await, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    assert_refused(drift(&tally, "churn").await, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    assert_refused(drift(&tally, "best").await, Code::InvalidArgument, "INVALID_REQUEST", &["model"]);

    let scored = tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let before = drift(&tally, "lead").await.unwrap();
    assert_eq!(before, drift(&tally, "lead/1").await.unwrap());
    assert_eq!((before.model.as_str(), before.as_of_time), ("lead/1", Some(timestamp(time(NOW)))));
    assert_eq!((before.customers, before.cold_customers), (scored.stored, 1));
    let card = tally.models().get_model(v1::GetModelRequest { model: "lead".into() }).await.unwrap();
    assert_eq!(before.training_rows, card.into_inner().model.unwrap().rows);
    assert!(before.features.windows(2).all(|pair| pair[0].psi >= pair[1].psi), "the greatest first");
    let region = feature(&before, "attribute.region");
    assert!(region.psi < 0.1 && region.verdict() == v1::Drift::Stable, "{region:?}");

    // Twins that did the same, but come from elsewhere, and whose size nobody knows.
    let twins: Vec<SimulatedCustomer> = business().iter().map(twin).collect();
    let stranger = |twin: &SimulatedCustomer| {
        let mut customer = simulated_customer(twin);
        let fields = &mut customer.attributes.as_mut().unwrap().fields;
        fields.insert("region".into(), prost_types::Value { kind: Some(text_kind("moon")) });
        fields.remove("company_size");
        customer
    };
    tally.upsert(twins.iter().map(stranger).collect()).await.unwrap();
    let interactions: Vec<_> = twins.iter().flat_map(simulated_interactions).collect();
    for batch in interactions.chunks(10_000) {
        tally.backfill(batch.to_vec()).await.unwrap();
    }
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let after = drift(&tally, "lead").await.unwrap();
    assert_eq!(after.customers, 2 * before.customers - 1);
    let compared = after.customers - after.cold_customers;
    for moved in &after.features {
        let expected = psi(moved, after.training_rows, compared);
        assert!((moved.psi - expected).abs() < 1e-9, "{}: {} {expected}", moved.feature, moved.psi);
        let was = feature(&before, &moved.feature);
        if ["attribute.region", "attribute.company_size"].contains(&moved.feature.as_str()) {
            assert!(moved.psi > 0.25 && moved.verdict() == v1::Drift::Large, "{moved:?}");
        } else {
            if was.verdict() == v1::Drift::Stable {
                assert_eq!(moved.verdict(), v1::Drift::Stable, "{}: {}", moved.feature, moved.psi);
            }
            let shares = |drift: &v1::FeatureDrift| -> Vec<f64> {
                drift.bins.iter().map(|bin| bin.population_share).collect()
            };
            assert_eq!(shares(moved), shares(was), "{}", moved.feature);
        }
    }
    let other = feature(&after, "attribute.region").bins.iter().find(|bin| bin.population_share == 0.5);
    assert_eq!(other.unwrap().bin, Some(Bin::Level("other".into())));

    // An empty column sinks nothing; an earlier population does not replace a later one.
    for customer in business().iter() {
        let request = v1::DeleteCustomerRequest { customer_id: customer.customer_id };
        tally.customers().delete_customer(request).await.unwrap();
    }
    assert_eq!(drift(&tally, "lead").await.unwrap(), after, "counts know nobody");
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    tally.score_population(v1::Target::Lead, time("2024-03-01")).await.unwrap();
    let strangers = drift(&tally, "lead").await.unwrap();
    assert_eq!((strangers.as_of_time, strangers.customers), (before.as_of_time, before.customers));
    let empty = feature(&strangers, "attribute.company_size");
    let missing = empty.bins.iter().find(|bin| bin.bin == Some(Bin::Missing(true))).unwrap();
    assert_eq!((missing.population_share, empty.mean_difference), (1.0, None));
    assert!((empty.missing_difference - (1.0 - missing.training_share)).abs() < 1e-12);
    assert!(strangers.features.iter().all(|feature| feature.psi.is_finite()));
    assert!(strangers.score.as_ref().unwrap().mean_difference.is_some());
    assert_eq!(strangers.features.len(), before.features.len());

    let shown = program("tally", "").args(["--server", &tally.url, "models", "drift", "lead"]).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    assert!(shown.contains("attribute.company_size") && shown.contains("large"), "{shown}");
}

fn text_kind(text: &str) -> prost_types::value::Kind {
    prost_types::value::Kind::StringValue(text.to_owned())
}

/// A customer that did the same under another name.
fn twin(mut customer: SimulatedCustomer) -> SimulatedCustomer {
    customer.customer_id = format!("twin-{}", customer.customer_id);
    customer
}

async fn realised(
    tally: &Tally,
    request: v1::GetRealisedPerformanceRequest,
) -> Result<Vec<v1::RealisedMonth>, tonic::Status> {
    let request = v1::GetRealisedPerformanceRequest { target: v1::Target::Churn.into(), ..request };
    Ok(tally.models().get_realised_performance(request).await?.into_inner().months)
}

/// Probabilities and what happened.
type Judged = Vec<(f64, bool)>;

/// The figures by their definitions, pair by pair and bin by bin.
fn assert_judged(month: &v1::RealisedMonth, judged: &Judged) {
    let n = judged.len() as f64;
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} is not {b}: {month:?}");
    let positives = judged.iter().filter(|(_, y)| *y).count();
    assert_eq!((month.rows, month.positives), (judged.len() as i64, positives as i64), "{}", month.month);
    close(month.mean_predicted, judged.iter().map(|(p, _)| p).sum::<f64>() / n);
    let loss = |(p, y): &(f64, bool)| -(if *y { *p } else { 1.0 - p }).ln();
    close(month.log_loss, judged.iter().map(loss).sum::<f64>() / n);
    close(month.brier, judged.iter().map(|(p, y)| (p - f64::from(u8::from(*y))).powi(2)).sum::<f64>() / n);
    let (mut above, mut pairs) = (0.0, 0.0);
    for (p, _) in judged.iter().filter(|(_, y)| *y) {
        for (q, _) in judged.iter().filter(|(_, y)| !*y) {
            above += if p > q {
                1.0
            } else if p == q {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    close(month.auc.unwrap(), above / pairs);
    let mut falling = judged.clone();
    falling.sort_by(|(p, _), (q, _)| q.total_cmp(p));
    assert!(falling.windows(2).all(|pair| pair[0].0 != pair[1].0), "no ties, so that bins are plain");
    let tenth = n / 10.0;
    let found: f64 = (0..falling.len())
        .map(|row| (tenth - row as f64).clamp(0.0, 1.0) * f64::from(u8::from(falling[row].1)))
        .sum();
    close(month.lift_at_10_percent.unwrap(), found / tenth / (positives as f64 / n));
    falling.reverse();
    let edge = |bin: usize| bin * falling.len() / 10;
    let bins = (0..10).map(|bin| &falling[edge(bin)..edge(bin + 1)]);
    let apart = bins.map(|bin| {
        let (p, y) = bin.iter().fold((0.0, 0.0), |(a, b), (p, y)| (a + p, b + f64::from(u8::from(*y))));
        (p - y).abs()
    });
    close(month.ece, apart.sum::<f64>() / n);
}

async fn realised_performance_is_what_happened(tally: Tally) {
    let churn = v1::Target::Churn;
    let ask = v1::GetRealisedPerformanceRequest::default;
    tally.simulate(&business()).await;
    tally.train(&["churn", "--as-of", "2024-01-01"]);
    assert_eq!(realised(&tally, ask()).await.unwrap(), [], "nothing was foretold");
    let moments = ["2024-01-08", "2024-01-08", "2024-01-29", "2024-02-15T12:00:00Z"];
    for as_of in moments {
        tally.score_population(churn, time(as_of)).await.unwrap();
    }
    // The horizon of these is not over.
    tally.score_population(churn, system_clock()).await.unwrap();
    let everything =
        v1::ListPredictionsRequest { target: churn.into(), latest_only: Some(false), ..Default::default() };
    let mut stored = tally.all_predictions(everything).await;
    stored.sort_by_key(|score| (score.as_of_time.map(|t| t.seconds), score.score_time.map(|t| t.seconds)));
    let buys: HashMap<String, Vec<Time>> = business()
        .iter()
        .map(|customer| {
            let buys = customer.interactions.iter().filter(|i| i.kind == "purchase").map(|i| i.occur_time);
            (customer.customer_id.clone(), buys.collect())
        })
        .collect();
    let judged = |months: [&str; 2], skip: &str| -> Judged {
        let mut seen = BTreeSet::new();
        let inside = |score: &&v1::Score| {
            let seconds = score.as_of_time.unwrap().seconds * 1_000_000;
            time(months[0]).0 <= seconds && seconds < time(months[1]).0 && score.customer_id != skip
        };
        stored
            .iter()
            .filter(inside)
            .filter(|score| seen.insert(score.customer_id.clone()))
            .map(|score| {
                let as_of = Time(score.as_of_time.unwrap().seconds * 1_000_000);
                let end = as_of.plus_days(90);
                let bought = buys[&score.customer_id].iter().any(|buy| as_of < *buy && *buy <= end);
                (score.probability, !bought)
            })
            .collect()
    };
    let (january, february) = (["2024-01-01", "2024-02-01"], ["2024-02-01", "2024-03-01"]);
    let months = realised(&tally, ask()).await.unwrap();
    let names: Vec<_> = months.iter().map(|month| (month.month.as_str(), month.model.as_str())).collect();
    assert_eq!(names, [("2024-01", "churn/1"), ("2024-02", "churn/1")]);
    assert_judged(&months[0], &judged(january, ""));
    assert_judged(&months[1], &judged(february, ""));
    assert!(months[0].auc.unwrap() > 0.6, "{months:?}");

    // Bounds, and another model.
    let from = v1::GetRealisedPerformanceRequest { from_time: Some(timestamp(time("2024-01-20"))), ..ask() };
    let late = realised(&tally, from.clone()).await.unwrap();
    assert_judged(&late[0], &judged(["2024-01-20", "2024-02-01"], ""));
    let to = Some(timestamp(time("2024-02-01")));
    let only = realised(&tally, v1::GetRealisedPerformanceRequest { to_time: to, ..from }).await.unwrap();
    assert_eq!(only, late[..1]);
    tally.train(&["churn", "--as-of", "2024-01-01", "--seed", "2", "--promote", "never"]);
    let of =
        |model: &str| realised(&tally, v1::GetRealisedPerformanceRequest { model: model.into(), ..ask() });
    assert_eq!(of("churn/1").await.unwrap(), months);
    assert_eq!(of("churn/2").await.unwrap(), []);
    assert_refused(of("churn/9").await, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    assert_refused(of("lead/1").await, Code::InvalidArgument, "INVALID_REQUEST", &["model"]);
    let mut nothing =
        v1::GetRealisedPerformanceRequest { from_time: Some(timestamp(time("2024-01-01"))), ..ask() };
    nothing.from_time.as_mut().unwrap().seconds = -1;
    let refused = tally.models().get_realised_performance(nothing).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["target", "from_time"]);

    // One alone: nothing to rank. Another model's prediction of the same month is a line of its own.
    let left = judged(february, "").iter().position(|(_, left)| *left).unwrap();
    let left = stored.iter().filter(|s| s.as_of_time == Some(timestamp(time(moments[3])))).nth(left).unwrap();
    let persist = v1::PredictChurnRequest {
        customer_id: left.customer_id.clone(),
        as_of_time: Some(timestamp(time("2024-02-20"))),
        model: "churn/2".into(),
        persist: true,
        ..Default::default()
    };
    tally.scoring().predict_churn(persist).await.unwrap();
    let alone = &realised(&tally, ask()).await.unwrap()[2];
    assert_eq!((alone.month.as_str(), alone.model.as_str()), ("2024-02", "churn/2"));
    assert_eq!((alone.rows, alone.positives, alone.auc), (1, 1, None));

    // ScoreView late that it had bought: as known now, it did not leave.
    let bought = interaction(&left.customer_id, "late", "purchase", "2024-03-01");
    let request = v1::RecordInteractionsRequest { interactions: vec![bought], backfill: false };
    tally.interactions().record_interactions(request).await.unwrap();
    let later = realised(&tally, ask()).await.unwrap();
    assert_eq!((later[1].rows, later[1].positives), (months[1].rows, months[1].positives - 1));
    assert_eq!((later[2].rows, later[2].positives, later[2].lift_at_10_percent), (1, 0, None));
    // Who is erased is judged no more.
    let request = v1::DeleteCustomerRequest { customer_id: left.customer_id.clone() };
    tally.customers().delete_customer(request).await.unwrap();
    let fewer = realised(&tally, ask()).await.unwrap();
    assert_eq!(fewer.len(), 2);
    assert_judged(&fewer[0], &judged(january, &left.customer_id));
    assert_judged(&fewer[1], &judged(february, &left.customer_id));

    let arguments = ["--server", &tally.url, "--json", "models", "realised", "churn", "--to", "2024-02-01"];
    let shown = program("tally", "").args(arguments).output().unwrap();
    let line: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&line["month"], &line["rows"]), (&"2024-01".into(), &fewer[0].rows.into()));

    // A look back behind the data cut-off of the model is told from what it foretold.
    assert!(fewer.iter().all(|month| month.rows_before_cutoff == 0));
    let before = time("2023-12-20");
    let known = |score: &&v1::Score| {
        score.customer_id != left.customer_id && buys[&score.customer_id].iter().any(|buy| *buy < before)
    };
    let persist = v1::PredictChurnRequest {
        customer_id: stored.iter().find(known).unwrap().customer_id.clone(),
        as_of_time: Some(timestamp(before)),
        persist: true,
        ..Default::default()
    };
    tally.scoring().predict_churn(persist).await.unwrap();
    let december = &realised(&tally, ask()).await.unwrap()[0];
    assert_eq!(december.month, "2023-12");
    assert_eq!((december.rows, december.rows_before_cutoff), (1, 1));
}

/// Values by name and labels.
async fn metrics(tally: &Tally) -> HashMap<String, f64> {
    let (head, text) = tally.get("/metrics").await;
    assert!(head.contains("200 OK") && head.contains("application/openmetrics-text"), "{head}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').unwrap()).map(|(n, v)| (n.into(), v.parse().unwrap())).collect()
}

/// Asks until a metric is there and passes.
async fn metric(tally: &Tally, name: &str, fine: impl Fn(f64) -> bool) -> HashMap<String, f64> {
    let found = async {
        loop {
            let all = metrics(tally).await;
            if all.get(name).is_some_and(|value| fine(*value)) {
                return all;
            }
            tokio::task::yield_now().await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(60), found).await;
    found.unwrap_or_else(|_| panic!("{name} does not come"))
}

/// The latest calendar month of which every moment is `days` behind.
fn last_whole_month(days: i64) -> Time {
    let end = system_clock().plus_days(-days).month_start();
    end.plus_days(-1).month_start()
}

async fn metrics_tell_what_is_documented(tally: Tally) {
    let month = last_whole_month(30);
    let business = Business { customers: 700, ..Business::new(11, month.plus_days(60)) };
    tally.simulate(&business).await;
    let as_of = month.plus_days(3);
    tally.train(&["lead", "--as-of", &as_of.to_string()]);
    let none = drift(&tally, "lead").await;
    assert!(none.is_err());
    let scored = tally.score_population(v1::Target::Lead, as_of).await.unwrap();
    let lead = "{target=\"lead\",model=\"lead/1\"}";
    let all = metric(&tally, &format!("tally_realised_auc{lead}"), |auc| auc > 0.5).await;

    let known = drift(&tally, "lead").await.unwrap();
    let value = |name: &str| all.get(name).copied().unwrap_or_else(|| panic!("{name} is not there: {all:?}"));
    assert_eq!(value(&format!("tally_population_customers{lead}")), scored.stored as f64);
    assert_eq!(value(&format!("tally_population_as_of_seconds{lead}")), as_of.0 as f64 / 1e6);
    assert_eq!(value(&format!("tally_drift_score_psi{lead}")), known.score.as_ref().unwrap().psi);
    for moved in &known.features {
        let labels = format!("{{target=\"lead\",model=\"lead/1\",feature=\"{}\"}}", moved.feature);
        assert_eq!(value(&format!("tally_drift_feature_psi{labels}")), moved.psi);
    }
    let request = v1::GetRealisedPerformanceRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let months = tally.models().get_realised_performance(request).await.unwrap().into_inner().months;
    assert_eq!(months.len(), 1);
    assert_eq!(value(&format!("tally_realised_rows{lead}")), months[0].rows as f64);
    assert_eq!(value(&format!("tally_realised_auc{lead}")), months[0].auc.unwrap());
    assert_eq!(value(&format!("tally_realised_log_loss{lead}")), months[0].log_loss);
    assert_eq!(value(&format!("tally_realised_ece{lead}")), months[0].ece);
    let lift = value(&format!("tally_realised_lift_at_10_percent{lead}"));
    assert_eq!(lift, months[0].lift_at_10_percent.unwrap());
    assert_eq!(value("tally_champion_version{target=\"lead\"}"), 1.0);
    assert_eq!(value("tally_model_refused_total{target=\"lead\"}"), 0.0);

    // Calls: a refused one, a stream to its end, one that is none of ours.
    let calls =
        |method: &str, code: &str| format!("tally_rpc_calls_total{{method=\"{method}\",code=\"{code}\"}}");
    assert_eq!(value(&calls("tally.v1.ModelService/GetDrift", "FAILED_PRECONDITION")), 1.0);
    assert_eq!(value(&calls("tally.v1.PredictionService/ScorePopulation", "OK")), 1.0);
    let mut raw = tonic::client::Grpc::new(tally.channel.clone());
    raw.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<v1::GetDriftRequest, v1::GetDriftResponse>::default();
    let path = "/tally.v1.ModelService/GuessAgain".parse().unwrap();
    raw.unary(tonic::Request::new(v1::GetDriftRequest::default()), path, codec).await.unwrap_err();
    let all = metric(&tally, &calls("other", "UNIMPLEMENTED"), |calls| calls == 1.0).await;
    assert!(!all.keys().any(|name| name.contains("GuessAgain")), "nobody makes up labels");
    let took = "tally_rpc_duration_seconds_count{method=\"tally.v1.PredictionService/ScorePopulation\"}";
    assert_eq!(all[took], 1.0);

    // What is documented is there, and the other way round; customers are not.
    let (_, text) = tally.get("/metrics").await;
    assert!(!text.contains("C00"), "no customer is a label");
    let there: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.replace(" counter", "_total").split(' ').next().unwrap().to_owned())
        .collect();
    let documented: BTreeSet<String> = include_str!("../../../docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `tally_"))
        .map(|line| format!("tally_{}", line.split(['`', '{']).next().unwrap()))
        .collect();
    assert_eq!(there, documented);
}

async fn a_model_that_cannot_be_read_raises_an_alarm(tally: Tally) {
    tally.simulate(&business()).await;
    tally.train(&["churn", "--as-of", NOW]);
    metric(&tally, "tally_champion_version{target=\"churn\"}", |version| version == 1.0).await;
    let store = tally_store::open(&tally.database.url).await.unwrap();
    for (target, from) in
        [(tally_model::spec::Target::Churn, Some(1)), (tally_model::spec::Target::Lead, None)]
    {
        let model = tally_store::StoredModel {
            target,
            version: 0,
            create_time: time(NOW),
            created_by: "somebody".into(),
            artifact: b"tally-model 1 nonsense\n{}".to_vec(),
            champion: false,
        };
        let evaluation =
            tally_store::HoldoutEvaluation { evaluated: Vec::new(), incumbent: None, scores: Vec::new() };
        let to = store.insert_model(model, evaluation).await.unwrap();
        let promotion = tally_store::Promotion {
            target,
            sequence: if from.is_some() { 2 } else { 1 },
            time: time(NOW),
            who: "somebody".into(),
            from,
            to,
            kind: tally_store::PromotionKind::Promote,
            forced: true,
            reason: String::new(),
            gate_result: String::new(),
        };
        assert!(store.promote(promotion).await.unwrap());
        let refused = format!("tally_model_refused_total{{target=\"{target}\"}}");
        metric(&tally, &refused, |refused| refused > 0.0).await;
    }
    // Once a version, however often it is looked at: a call that finds no champion looks again.
    for _ in 0..3 {
        let request = v1::ScoreLeadRequest { customer_id: "nobody".into(), ..Default::default() };
        let none = tally.scoring().score_lead(request).await;
        assert_refused(none, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    }
    let all = metrics(&tally).await;
    for target in ["lead", "churn"] {
        assert_eq!(all[&format!("tally_model_refused_total{{target=\"{target}\"}}")], 1.0);
    }
    assert_eq!(all["tally_champion_version{target=\"churn\"}"], 1.0, "the one before serves on");
}
