//! Models learn from numeric properties of interactions, explain by them, and use only what was known.

use tally_model::time::{DAY, Time};
use tally_proto::v1;

use super::{NOW, churn_request};
use crate::support::{Tally, interaction, on_both_stores, text, time};

on_both_stores!(
    a_model_learns_from_a_property_and_explains_by_it,
    listed_properties_alone_become_features,
    a_property_that_is_recorded_later_is_not_known_before,
);

const TRAINING: [&str; 5] = ["churn", "--as-of", NOW, "--horizon-days", "30"];
const SILENT_TRAINING: [&str; 7] = ["churn", "--as-of", NOW, "--horizon-days", "30", "--promote", "never"];

/// A purchase with a number of units.
fn purchase(customer: &str, id: &str, time: Time, units: &str) -> v1::Interaction {
    let mut purchase = interaction(customer, id, "purchase", &time.to_string());
    purchase.properties = [("units", units), ("order_id", id), ("note", "n/a")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    purchase
}

/// Stores customers who return 20 days after a purchase of many units, and 60 days after one of few. Within
/// 20 days of a purchase nothing else predicts whether the next 30 days bring another.
async fn store_customers(tally: &Tally) {
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
    let request = v1::PredictChurnRequest { model: model.to_owned(), ..churn_request(id, time(NOW), -1) };
    tally.predict_churn(request).await.unwrap()
}

fn has_feature(model: &v1::Model, name: &str) -> bool {
    model.coefficients.iter().any(|coefficient| coefficient.feature.contains(name))
}

/// Trains with these properties. Returns the columns of the training matrix that come from the order id.
fn order_id_columns(tally: &Tally, properties: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let matrix = folder.path().join("rows.csv");
    let spec = format!("[features]\nproperties = {properties}\n");
    let arguments = [&SILENT_TRAINING[1..], &["--matrix-out", text(&matrix)]].concat();
    tally.train_with_spec("churn", &spec, &arguments);
    let header = csv::Reader::from_path(&matrix).unwrap().headers().unwrap().clone();
    header.iter().filter(|name| name.starts_with("purchase.order_id")).map(str::to_owned).collect()
}

async fn a_model_learns_from_a_property_and_explains_by_it(tally: Tally) {
    store_customers(&tally).await;
    tally.train(&TRAINING);
    assert!(order_id_columns(&tally, "[]").is_empty());
    let (auto, without) = (tally.card("churn/1").await, tally.card("churn/2").await);
    assert!(has_feature(&auto, "purchase.units_"));
    assert!(!has_feature(&auto, "order_id") && !has_feature(&auto, "note"));
    assert!(!has_feature(&without, "purchase.units_"));
    assert!(auto.spec.contains("properties = \"auto\""), "{}", auto.spec);
    let auc = |model: &v1::Model| model.holdout.unwrap().auc;
    assert!(auc(&auto) > auc(&without) + 0.02, "{} {}", auc(&auto), auc(&without));

    let few = score(&tally, "few", "churn/1").await;
    let many = score(&tally, "many", "churn/1").await;
    assert!(few.probability > many.probability + 0.2, "{} {}", few.probability, many.probability);
    assert_explained_by_units(&few, "2 units", 1.0);
    assert_explained_by_units(&many, "22 units", -1.0);
    let unknown = score(&tally, "unknown", "churn/1").await;
    let is_missing = unknown.missing_features.iter().any(|name| name == "purchase.units_mean");
    assert_eq!(is_missing, has_feature(&auto, "purchase.units_mean"), "`plenty` is not a number");
    let blind = score(&tally, "few", "churn/2").await.probability;
    assert_eq!(blind, score(&tally, "many", "churn/2").await.probability, "they differ in units only");
}

/// Asserts that the reasons by units add up to a contribution of a sign, and that one of them names the
/// number.
fn assert_explained_by_units(score: &v1::Score, units: &str, sign: f64) {
    let reasons = || score.reasons.iter().filter(|reason| reason.feature.contains("purchase.units_"));
    let contribution: f64 = reasons().map(|reason| reason.contribution).sum();
    assert!(contribution * sign > 0.0, "{:?}", score.reasons);
    let names_them = |text: &str| text.starts_with(units) && text.contains("; typical is ");
    assert!(reasons().any(|reason| names_them(&reason.text)), "{:?}", score.reasons);
}

async fn listed_properties_alone_become_features(tally: Tally) {
    store_customers(&tally).await;
    let columns = order_id_columns(&tally, "[\"purchase.units\", \"purchase.order_id\"]");
    let windows =
        ["7d", "30d", "90d", "365d", "ever"].map(|window| format!("purchase.order_id_sum_{window}"));
    let others = ["purchase.order_id_mean", "purchase.order_id_last"].map(str::to_owned);
    assert_eq!(columns, [windows.as_slice(), &others].concat(), "a listed property is used, even an id");
    let listed = tally.card("churn/1").await;
    assert!(has_feature(&listed, "purchase.units_") && listed.spec.contains("purchase.order_id"));

    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, "[features]\nproperties = [\"units\"]\n").unwrap();
    let output = tally.try_train(&[SILENT_TRAINING.as_slice(), &["--spec", text(&spec)]].concat());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("features.properties") && message.contains("\"kind.property\""), "{message}");
}

async fn a_property_that_is_recorded_later_is_not_known_before(tally: Tally) {
    store_customers(&tally).await;
    tally.train(&TRAINING);
    let before = score(&tally, "few", "churn/1").await;
    // They happen before the moment of the score, but become known only now.
    let late = |id: &str| purchase(id, "late", time(NOW).plus_days(-2), "1000");
    let everybody = (0..200).map(|n| late(&format!("c{n:03}")));
    tally.record(everybody.chain([late("few")]).collect()).await;
    let after = score(&tally, "few", "churn/1").await;
    assert_eq!(before.probability.to_bits(), after.probability.to_bits());
    assert_eq!(before.reasons, after.reasons);
    tally.train(&SILENT_TRAINING);
    assert_eq!(tally.card("churn/1").await.artifact_hash, tally.card("churn/2").await.artifact_hash);
}
