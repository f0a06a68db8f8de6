//! Drift finds the features that have moved and no others.

use prost_types::{Value, value::Kind};
use tally_model::simulate::{Business, SimulatedCustomer};
use tally_proto::v1::{self, drift_bin::Bin};
use tonic::Code;

use super::{NOW, drift_of};
use crate::support::{
    Tally, assert_refused, business, customer, on_both_stores, simulated_customer, simulated_interactions,
    time, timestamp,
};

on_both_stores!(drift_finds_the_features_that_have_moved_and_no_others);

fn small_business() -> Business {
    business(700, 11, time(NOW))
}

fn feature<'a>(drift: &'a v1::GetDriftResponse, name: &str) -> &'a v1::FeatureDrift {
    drift.features.iter().find(|feature| feature.feature == name).unwrap()
}

/// The population stability index by its definition, from the shares and the numbers of rows.
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

async fn drift_finds_the_features_that_have_moved_and_no_others(tally: Tally) {
    tally.simulate(&small_business()).await;
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    tally.train(&["lead", "--as-of", NOW]);
    assert_refusals(&tally).await;
    let before = drift_before(&tally).await;
    store_twins_from_elsewhere(&tally).await;
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let after = drift_of(&tally, "lead").await.unwrap();
    assert_eq!(after.customers, 2 * before.customers - 1);
    assert_moved(&before, &after);
    assert_erased_column_is_missing(&tally, &before, &after).await;
    let shown = tally.cli(&["models", "drift", "lead"]);
    assert!(shown.contains("attribute.company_size") && shown.contains("large"), "{shown}");
}

async fn assert_refusals(tally: &Tally) {
    assert_refused(drift_of(tally, "lead").await, Code::FailedPrecondition, "NO_POPULATION", &[]);
    assert_refused(drift_of(tally, "lead/9").await, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    assert_refused(drift_of(tally, "churn").await, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    assert_refused(drift_of(tally, "best").await, Code::InvalidArgument, "INVALID_REQUEST", &["model"]);
}

/// The drift of the first population, among which the training rows are.
async fn drift_before(tally: &Tally) -> v1::GetDriftResponse {
    let scored = tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let drift = drift_of(tally, "lead").await.unwrap();
    assert_eq!(drift, drift_of(tally, "lead/1").await.unwrap());
    assert_eq!((drift.model.as_str(), drift.as_of_time), ("lead/1", Some(timestamp(time(NOW)))));
    assert_eq!((drift.customers, drift.cold_customers), (scored.stored, 1));
    assert_eq!(drift.training_rows, tally.card("lead").await.rows);
    assert!(drift.features.windows(2).all(|pair| pair[0].psi >= pair[1].psi), "the greatest first");
    let region = feature(&drift, "attribute.region");
    assert!(region.psi < 0.1 && region.verdict() == v1::Drift::Stable, "{region:?}");
    drift
}

/// Stores a twin of each customer, which does the same, but is from another region and has no company size.
async fn store_twins_from_elsewhere(tally: &Tally) {
    let twin = |mut customer: SimulatedCustomer| {
        customer.customer_id = format!("twin-{}", customer.customer_id);
        customer
    };
    let twins: Vec<SimulatedCustomer> = small_business().iter().map(twin).collect();
    let from_elsewhere = |twin: &SimulatedCustomer| {
        let mut customer = simulated_customer(twin);
        let fields = &mut customer.attributes.as_mut().unwrap().fields;
        fields.insert("region".into(), Value { kind: Some(Kind::StringValue("moon".into())) });
        fields.remove("company_size");
        customer
    };
    tally.upsert(twins.iter().map(from_elsewhere).collect()).await.unwrap();
    let interactions: Vec<_> = twins.iter().flat_map(simulated_interactions).collect();
    for batch in interactions.chunks(10_000) {
        tally.backfill(batch.to_vec()).await.unwrap();
    }
}

/// Asserts that region and company size have drifted, the shares of all others are what they were, and every
/// index is that of the definition.
fn assert_moved(before: &v1::GetDriftResponse, after: &v1::GetDriftResponse) {
    let compared = after.customers - after.cold_customers;
    for moved in &after.features {
        let expected = psi(moved, after.training_rows, compared);
        assert!((moved.psi - expected).abs() < 1e-9, "{}: {} {expected}", moved.feature, moved.psi);
        let was = feature(before, &moved.feature);
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
    let other = feature(after, "attribute.region").bins.iter().find(|bin| bin.population_share == 0.5);
    assert_eq!(other.unwrap().bin, Some(Bin::Level("other".into())));
}

/// Erases everybody with a company size: the stored drift stays until the next run, and an empty column does
/// not fail that. A run about an earlier moment does not replace a later one.
async fn assert_erased_column_is_missing(
    tally: &Tally,
    before: &v1::GetDriftResponse,
    after: &v1::GetDriftResponse,
) {
    for customer in small_business().iter() {
        tally.delete(&customer.customer_id).await.unwrap();
    }
    assert_eq!(drift_of(tally, "lead").await.unwrap(), *after, "the stored counts name no customer");
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    tally.score_population(v1::Target::Lead, time("2024-03-01")).await.unwrap();
    let twins = drift_of(tally, "lead").await.unwrap();
    assert_eq!((twins.as_of_time, twins.customers), (before.as_of_time, before.customers));
    let empty = feature(&twins, "attribute.company_size");
    let missing = empty.bins.iter().find(|bin| bin.bin == Some(Bin::Missing(true))).unwrap();
    assert_eq!((missing.population_share, empty.mean_difference), (1.0, None));
    assert!((empty.missing_difference - (1.0 - missing.training_share)).abs() < 1e-12);
    assert!(twins.features.iter().all(|feature| feature.psi.is_finite()));
    assert!(twins.score.as_ref().unwrap().mean_difference.is_some());
    assert_eq!(twins.features.len(), before.features.len());
}
