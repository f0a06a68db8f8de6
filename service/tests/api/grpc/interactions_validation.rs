//! RecordInteractions refuses invalid interactions.

use prost_types::Timestamp;
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
    blanks_of_an_interaction_are_no_content,
    negative_money_of_purchases_and_returns_is_refused,
    the_first_moment_of_1970_is_refused,
    interactions_at_the_limits_are_accepted,
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
        (bad(&|i| i.customer_id = "null".into()), "customer_id"),
        (bad(&|i| i.interaction_id = "\u{a0}#N/A".into()), "interaction_id"),
        (bad(&|i| i.kind = " ".into()), "kind"),
        (bad(&|i| i.kind = "undefined".into()), "kind"),
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
        (bad(&|i| i.properties = ["k", "k "].map(|key| (key.into(), "1".into())).into()), "properties"),
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

async fn list(tally: &Tally, customer_id: &str) -> Vec<v1::Interaction> {
    let request = v1::ListInteractionsRequest { customer_id: customer_id.to_owned(), ..Default::default() };
    tally.interactions().list_interactions(request).await.unwrap().into_inner().interactions
}

async fn blanks_of_an_interaction_are_no_content(tally: Tally) {
    let sent = bad(&|i| {
        i.customer_id = "17850\u{a0}".into();
        i.interaction_id = "\u{feff}1".into();
        i.kind = " purchase\t".into();
        i.channel = "web ".into();
        i.properties = [(" units", " 3 "), ("note", "\u{200b}"), ("size", "n/a")]
            .map(|(key, value)| (key.into(), value.into()))
            .into();
    });
    let clean = bad(&|i| {
        i.customer_id = "17850".into();
        i.interaction_id = "1".into();
        i.kind = "purchase".into();
        i.channel = "web".into();
        i.properties =
            [("units", "3"), ("size", "n/a")].map(|(key, value)| (key.into(), value.into())).into();
    });
    assert_eq!(tally.backfill(vec![sent.clone()]).await.unwrap(), (1, 0));
    assert_eq!(tally.backfill(vec![clean.clone(), sent]).await.unwrap(), (0, 2), "the same content");
    let stored = list(&tally, " 17850 ").await;
    assert_eq!(stored, [v1::Interaction { record_time: clean.occur_time, ..clean }]);
}

async fn negative_money_of_purchases_and_returns_is_refused(tally: Tally) {
    let paid = |kind: &str, amount| {
        bad(&|i| {
            i.kind = kind.to_owned();
            i.amount_minor = Some(amount);
        })
    };
    for (kind, says) in
        [("purchase", "send a `return`"), (" purchase", "send a `return`"), ("return", "is positive")]
    {
        let refused = tally.backfill(vec![paid(kind, -3_000)]).await.unwrap_err();
        let violation = &refused.get_details_bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "interactions[0].amount_minor");
        assert!(
            violation.description.contains(says) && violation.description.contains("-3000"),
            "{violation:?}"
        );
    }
    assert_empty(&tally).await;
    let fine = [paid("purchase", 0), paid("return", 3_000), paid("fee", -3_000)];
    for (n, interaction) in fine.into_iter().enumerate() {
        let interaction = v1::Interaction { interaction_id: n.to_string(), ..interaction };
        assert_eq!(tally.backfill(vec![interaction]).await.unwrap(), (1, 0));
    }
}

async fn the_first_moment_of_1970_is_refused(tally: Tally) {
    let at = |seconds, nanos| bad(&|i| i.occur_time = Some(Timestamp { seconds, nanos }));
    for early in [at(0, 0), at(0, 999), at(-86_400, 0)] {
        let refused = tally.backfill(vec![early]).await.unwrap_err();
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations.len(), 1);
        assert!(violations[0].description.contains("an unset field"), "{violations:?}");
    }
    assert_empty(&tally).await;
    assert_eq!(tally.backfill(vec![at(0, 1_000)]).await.unwrap(), (1, 0));
}

/// Text of characters with four bytes that does not compress: an index entry of PostgreSQL holds 2,700 bytes.
fn incompressible(seed: u32, length: u32) -> String {
    (0..length)
        .map(|n| char::from_u32(0x20000 + (n + seed).wrapping_mul(2_654_435_761) % 0xa000).unwrap())
        .collect()
}

async fn interactions_at_the_limits_are_accepted(tally: Tally) {
    let longest = bad(&|i| {
        i.customer_id = incompressible(1, 256);
        i.interaction_id = incompressible(300, 256);
        i.kind = "k".repeat(52);
        i.channel = "渠".repeat(64);
        // Properties up to 500 bytes are part of the index entry.
        i.properties.insert("p".into(), incompressible(600, 122));
    });
    assert_eq!(tally.backfill(vec![longest.clone()]).await.unwrap(), (1, 0));
    let stored = list(&tally, &longest.customer_id).await;
    assert_eq!(stored, [v1::Interaction { record_time: longest.occur_time, ..longest.clone() }]);
    let longer = v1::Interaction { kind: "k".repeat(53), ..longest };
    assert_invalid(tally.backfill(vec![longer]).await, &["interactions[0]"]);
    let chinese = bad(&|i| {
        i.kind = "访".repeat(64);
        i.properties.insert("键".repeat(64), "值".repeat(1_024));
    });
    assert_eq!(tally.backfill(vec![chinese]).await.unwrap(), (1, 0));
}
