//! RecordInteractions refuses invalid interactions.

use tally_proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use super::{assert_empty, assert_invalid, bad_times};
use crate::support::{Tally, interaction, on_both_stores};

on_both_stores!(
    invalid_interactions_are_refused,
    all_invalid_fields_of_an_interaction_are_named,
    an_error_about_many_fields_fits_into_a_header,
    batches_above_the_limit_are_refused,
);

/// An interaction with something wrong.
fn bad(change: &dyn Fn(&mut v1::Interaction)) -> v1::Interaction {
    let mut bad = interaction("c", "i", "visit", "2024-01-01");
    change(&mut bad);
    bad
}

/// An interaction of a kind with one property.
fn with_property(kind: &str, key: &str, value: &str) -> v1::Interaction {
    bad(&|i| {
        i.kind = kind.into();
        i.properties.insert(key.into(), value.into());
    })
}

/// Interactions that are wrong in one field, and the field.
fn bad_fields() -> Vec<(v1::Interaction, &'static str)> {
    let mut cases = vec![
        (bad(&|i| i.customer_id.clear()), "customer_id"),
        (bad(&|i| i.customer_id = "x".repeat(257)), "customer_id"),
        (bad(&|i| i.customer_id = "\0".into()), "customer_id"),
        (bad(&|i| i.interaction_id.clear()), "interaction_id"),
        (bad(&|i| i.interaction_id = "x".repeat(257)), "interaction_id"),
        (bad(&|i| i.interaction_id = "a\0".into()), "interaction_id"),
        (bad(&|i| i.kind.clear()), "kind"),
        (bad(&|i| i.kind = "x".repeat(65)), "kind"),
        (bad(&|i| i.kind = "a\tb".into()), "kind"),
        (bad(&|i| i.channel = "x".repeat(65)), "channel"),
        (bad(&|i| i.channel = "\0".into()), "channel"),
        (bad(&|i| i.occur_time = None), "occur_time"),
        (bad(&|i| i.amount_minor = Some(1_000_000_000_000_001)), "amount_minor"),
        (bad(&|i| i.amount_minor = Some(i64::MIN)), "amount_minor"),
    ];
    for time in bad_times() {
        cases.push((bad(&|i| i.occur_time = Some(time)), "occur_time"));
    }
    cases
}

/// Interactions that are wrong in their properties, and the field.
fn bad_properties() -> Vec<(v1::Interaction, &'static str)> {
    vec![
        (with_property("visit", "", "x"), "properties."),
        (with_property("visit", "k", "a\0"), "properties.k"),
        (with_property("visit", "k", &"x".repeat(1_025)), "properties.k"),
        (with_property("survey", "score", "great"), "properties.score"),
        (with_property("survey", "score", "NaN"), "properties.score"),
        (with_property("survey", "expected", "0"), "properties.expected"),
        (bad(&|i| i.properties = (0..51).map(|n| (n.to_string(), String::new())).collect()), "properties"),
    ]
}

async fn invalid_interactions_are_refused(tally: Tally) {
    for (bad, field) in bad_fields().into_iter().chain(bad_properties()) {
        let refused = tally.backfill(vec![interaction("c", "good", "visit", "2024-01-01"), bad]).await;
        assert_invalid(refused, &[&format!("interactions[1].{field}")]);
    }
    assert_empty(&tally).await;
}

async fn all_invalid_fields_of_an_interaction_are_named(tally: Tally) {
    let several = bad(&|i| {
        i.kind.clear();
        i.interaction_id.clear();
        i.occur_time = None;
    });
    let fields = ["interactions[0].interaction_id", "interactions[0].kind", "interactions[0].occur_time"];
    assert_invalid(tally.backfill(vec![several]).await, &fields);
    assert_empty(&tally).await;
}

/// A client refuses headers that are too large, and the error travels in one.
async fn an_error_about_many_fields_fits_into_a_header(tally: Tally) {
    let worst = bad(&|i| {
        i.interaction_id.clear();
        i.kind.clear();
        i.properties = (0..40).map(|n| (format!("{n:064}"), "x".repeat(1_025))).collect();
    });
    for batch in [vec![bad(&|i| i.interaction_id.clear()); 10_000], vec![worst; 80]] {
        let refused = tally.backfill(batch).await.unwrap_err();
        let named = refused.get_details_bad_request().unwrap().field_violations.len();
        assert!(refused.code() == Code::InvalidArgument && (1..=100).contains(&named), "{refused:?}");
        assert!(refused.details().len() < 6_000, "{}", refused.details().len());
    }
    assert_empty(&tally).await;
}

async fn batches_above_the_limit_are_refused(tally: Tally) {
    assert_invalid(tally.backfill(vec![]).await, &["interactions"]);
    let batch = |size: usize| -> Vec<_> {
        (0..size).map(|n| interaction("c", &n.to_string(), "visit", "2024-01-01")).collect()
    };
    assert_invalid(tally.backfill(batch(10_001)).await, &["interactions"]);
    assert_empty(&tally).await;
    assert_eq!(tally.backfill(batch(10_000)).await.unwrap(), (10_000, 0), "the limit itself is allowed");
}
