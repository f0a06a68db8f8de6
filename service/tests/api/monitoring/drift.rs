//! Drift finds the features that have moved and no others.

use prost_types::{Value, value::Kind};
use tally_model::simulate::{Business, SimulatedCustomer};
use tally_proto::v1::{self, drift_bin::Bin};
use tonic::Code;

use super::{NOW, drift_of};
use crate::support::{
    Tally, assert_refused, business, customer, has_kind, on_both_stores, simulated_customer,
    simulated_interactions, time, timestamp,
};

on_both_stores!(
    drift_finds_the_features_that_have_moved_and_no_others,
    few_customers_are_compared_with_themselves,
);

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

/// Asserts that each grade is that of a quarter of the customers that were scored on the basis of the model.
async fn assert_quarters(tally: &Tally, customers: i64) {
    for grade in [v1::Grade::A, v1::Grade::B, v1::Grade::C, v1::Grade::D] {
        let request = v1::ListPredictionsRequest {
            target: v1::Target::Lead.into(),
            grades: vec![grade.into()],
            ..Default::default()
        };
        let found = tally.predictions().list_predictions(request).await.unwrap().into_inner().total_size;
        // The silent customer has a grade, too, and leads of whom the same is known have the same score.
        assert!((found as f64 / customers as f64 - 0.25).abs() < 0.01, "{grade:?}: {found} of {customers}");
    }
}

/// The drift of the first population, which is that of the training.
async fn drift_before(tally: &Tally) -> v1::GetDriftResponse {
    let scored = tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let drift = drift_of(tally, "lead").await.unwrap();
    assert_eq!(drift, drift_of(tally, "lead/1").await.unwrap());
    assert_eq!((drift.model.as_str(), drift.as_of_time), ("lead/1", Some(timestamp(time(NOW)))));
    assert_eq!((drift.customers, drift.cold_customers), (scored.stored, 1));
    // The population is that of the training, so nothing has moved, and chance is by its customers.
    assert_eq!(drift.training_rows, drift.customers - drift.cold_customers);
    for own in drift.features.iter().chain(&drift.score) {
        assert_eq!((own.psi, own.verdict()), (0.0, v1::Drift::Stable), "{own:?}");
        let is_number = own.feature != "score" && matches!(own.bins[0].bin, Some(Bin::Range(_)));
        assert_eq!(own.beyond_share.is_some(), is_number, "{own:?}");
        let used = own.bins.iter().filter(|bin| bin.training_share > 0.0).count() as f64;
        let chance = (used - 1.0) * 2.0 / drift.training_rows as f64;
        assert!((own.psi_by_chance - chance).abs() < 1e-12, "{own:?}");
    }
    assert_quarters(tally, drift.training_rows).await;
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

/// With few leads left, most snapshots are of customers who have bought since: another population.
async fn few_customers_are_compared_with_themselves(tally: Tally) {
    let mut leads = 0;
    let is_kept = |customer: &SimulatedCustomer| {
        leads += usize::from(!has_kind(customer, "purchase"));
        has_kind(customer, "purchase") || leads <= 40
    };
    let kept: Vec<SimulatedCustomer> = small_business().iter().filter(is_kept).collect();
    tally.upsert(kept.iter().map(simulated_customer).collect()).await.unwrap();
    let interactions: Vec<_> = kept.iter().flat_map(simulated_interactions).collect();
    for batch in interactions.chunks(10_000) {
        tally.backfill(batch.to_vec()).await.unwrap();
    }
    tally.train(&["lead", "--as-of", NOW]);
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let drift = drift_of(&tally, "lead").await.unwrap();
    assert_eq!((drift.customers, drift.training_rows), (40, 40));
    for own in drift.features.iter().chain(&drift.score) {
        assert_eq!((own.psi, own.verdict()), (0.0, v1::Drift::Stable), "{own:?}");
    }
}
