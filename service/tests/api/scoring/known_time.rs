//! What becomes known later changes neither a training nor a score about an earlier moment.

use tally_proto::v1;
use tonic::Code;

use super::{NOW, churn_request, small_business, trained};
use crate::support::{Tally, assert_refused, customer, has_kind, interaction, on_both_stores, time};

on_both_stores!(what_becomes_known_later_changes_nothing_about_the_past);

async fn what_becomes_known_later_changes_nothing_about_the_past(tally: Tally) {
    trained(&tally).await;
    // Recorded now, after NOW: a late purchase and new attributes of some customers.
    let customers: Vec<String> =
        small_business().iter().take(50).map(|customer| customer.customer_id).collect();
    let late = |id: &String| interaction(id, "late", "purchase", "2024-05-01");
    tally.record(customers.iter().map(late).collect()).await;
    let without_attributes = |id: &String| v1::Customer { create_time: None, ..customer(id, NOW, &[]) };
    tally.upsert(customers.iter().map(without_attributes).collect()).await.unwrap();
    tally.train(&["churn", "--as-of", NOW]);
    let (before, after) = (tally.card("churn/1").await, tally.card("churn/2").await);
    assert_eq!(before.artifact_hash, after.artifact_hash, "the same data as of then, the same artifact");
    assert!(before.champion && !after.champion, "the same model does not replace the champion");

    let lead = small_business().iter().find(|customer| !has_kind(customer, "purchase")).unwrap().customer_id;
    tally.record(vec![interaction(&lead, "late", "purchase", "2024-05-01")]).await;
    let refused = tally.predict_churn(churn_request(&lead, time(NOW), 0)).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_A_BUYER", &[]);
}
