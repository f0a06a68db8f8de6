//! Numeric properties of interactions: models learn from them, explain by them, and know of them only
//! what was known.

use tally_model::time::{DAY, Time};
use tally_proto::v1;

use crate::support::{Tally, interaction, on_both_stores, program, text, time, timestamp};

on_both_stores!(
    a_model_learns_from_a_property_and_explains_by_it,
    a_property_that_is_recorded_later_is_not_known_before,
);

const NOW: &str = "2024-06-01";

/// A purchase of so many units.
fn purchase(customer: &str, id: &str, time: Time, units: &str) -> v1::Interaction {
    let mut purchase = interaction(customer, id, "purchase", &time.to_string());
    purchase.properties = [("units", units), ("order_id", id), ("note", "n/a")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    purchase
}

/// Customers who come again after 20 days when they bought many units, after 60 when few. Within 20 days
/// of a purchase nothing else tells whether the next 30 bring another.
async fn record(tally: &Tally) {
    let start = time("2023-01-01");
    let mut all = Vec::new();
    for n in 0..200_i64 {
        let mut moment = Time(start.0 + n * 60 * DAY / 200);
        while moment < time(NOW) {
            let draw = (all.len() as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let many = draw.is_multiple_of(2);
            let units = 1 + draw % 5 + if many { 20 } else { 0 };
            all.push(purchase(&format!("c{n:03}"), &all.len().to_string(), moment, &units.to_string()));
            moment = moment.plus_days(if many { 20 } else { 60 });
        }
    }
    for (id, units) in [("few", "2"), ("many", "22"), ("unknown", "plenty")] {
        all.push(purchase(id, "first", time(NOW).plus_days(-3), units));
    }
    tally.backfill(all).await.unwrap();
}

async fn score(tally: &Tally, id: &str, model: &str) -> v1::Score {
    let request = v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        as_of_time: Some(timestamp(time(NOW))),
        model: model.to_owned(),
        max_reasons: -1,
        ..Default::default()
    };
    tally.scoring().predict_churn(request).await.unwrap().into_inner()
}

async fn model(tally: &Tally, name: &str) -> v1::Model {
    let request = v1::GetModelRequest { model: name.to_owned() };
    tally.models().get_model(request).await.unwrap().into_inner().model.unwrap()
}

async fn a_model_learns_from_a_property_and_explains_by_it(tally: Tally) {
    record(&tally).await;
    tally.train(&["churn", "--as-of", NOW, "--horizon-days", "30"]);
    let folder = tempfile::tempdir().unwrap();
    let (spec, matrix) = (folder.path().join("spec.toml"), folder.path().join("rows.csv"));
    let with = |properties: &str| {
        std::fs::write(&spec, format!("[features]\nproperties = {properties}\n")).unwrap();
        let spec = ["--spec", text(&spec), "--matrix-out", text(&matrix)];
        [["churn", "--as-of", NOW, "--horizon-days", "30", "--promote", "never"].as_slice(), &spec].concat()
    };
    let columns = || -> Vec<String> {
        let header = csv::Reader::from_path(&matrix).unwrap().headers().unwrap().clone();
        header.iter().filter(|name| name.starts_with("purchase.order_id")).map(str::to_owned).collect()
    };
    tally.train(&with("[]"));
    assert!(columns().is_empty());
    tally.train(&with("[\"purchase.units\", \"purchase.order_id\"]"));
    let windows =
        ["7d", "30d", "90d", "365d", "ever"].map(|window| format!("purchase.order_id_sum_{window}"));
    let others = ["purchase.order_id_mean", "purchase.order_id_last"].map(str::to_owned);
    assert_eq!(columns(), [windows.as_slice(), &others].concat(), "what is listed is looked at, an id too");

    let (auto, without, listed) =
        (model(&tally, "churn/1").await, model(&tally, "churn/2").await, model(&tally, "churn/3").await);
    let has = |model: &v1::Model, name: &str| model.coefficients.iter().any(|c| c.feature.contains(name));
    assert!(has(&auto, "purchase.units_") && !has(&auto, "order_id") && !has(&auto, "note"));
    assert!(!has(&without, "purchase.units_"));
    assert!(has(&listed, "purchase.units_") && listed.spec.contains("purchase.order_id"));
    assert!(auto.spec.contains("properties = \"auto\""), "{}", auto.spec);
    let auc = |model: &v1::Model| model.holdout.unwrap().auc;
    assert!(auc(&auto) > auc(&without) + 0.02, "{} {}", auc(&auto), auc(&without));

    let (few, many, unknown) = (
        score(&tally, "few", "churn/1").await,
        score(&tally, "many", "churn/1").await,
        score(&tally, "unknown", "churn/1").await,
    );
    assert!(few.probability > many.probability + 0.2, "{} {}", few.probability, many.probability);
    let is_missing = unknown.missing_features.iter().any(|name| name == "purchase.units_mean");
    assert_eq!(is_missing, has(&auto, "purchase.units_mean"), "plenty is no number");
    for (score, units, sign) in [(&few, "2 units", 1.0), (&many, "22 units", -1.0)] {
        let reasons = || score.reasons.iter().filter(|reason| reason.feature.contains("purchase.units_"));
        let contribution: f64 = reasons().map(|reason| reason.contribution).sum();
        assert!(contribution * sign > 0.0, "{:?}", score.reasons);
        let told = |text: &str| text.starts_with(units) && text.contains("; typical is ");
        assert!(reasons().any(|reason| told(&reason.text)), "{:?}", score.reasons);
    }
    let blind = score(&tally, "few", "churn/2").await.probability;
    assert_eq!(blind, score(&tally, "many", "churn/2").await.probability, "nothing else tells them apart");

    let output = program("tally-train", &tally.database.url).args(with("[\"units\"]")).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("features.properties") && message.contains("\"kind.property\""), "{message}");
}

async fn a_property_that_is_recorded_later_is_not_known_before(tally: Tally) {
    record(&tally).await;
    tally.train(&["churn", "--as-of", NOW, "--horizon-days", "30"]);
    let before = score(&tally, "few", "churn/1").await;
    // They happened before the moment that is asked about, but become known only now.
    let late = (0..200).map(|n| purchase(&format!("c{n:03}"), "late", time(NOW).plus_days(-2), "1000"));
    let late = late.chain([purchase("few", "late", time(NOW).plus_days(-2), "1000")]).collect();
    let request = v1::RecordInteractionsRequest { interactions: late, backfill: false };
    tally.interactions().record_interactions(request).await.unwrap();
    let after = score(&tally, "few", "churn/1").await;
    assert_eq!(before.probability.to_bits(), after.probability.to_bits());
    assert_eq!(before.reasons, after.reasons);
    tally.train(&["churn", "--as-of", NOW, "--horizon-days", "30", "--promote", "never"]);
    assert_eq!(model(&tally, "churn/1").await.artifact_hash, model(&tally, "churn/2").await.artifact_hash);
}
