//! UpsertCustomers refuses invalid customers.

use prost_types::value::Kind;
use tally_proto::v1;

use super::{assert_empty, assert_invalid, bad_times};
use crate::support::{Tally, customer, on_both_stores};

on_both_stores!(invalid_customers_are_refused, customers_at_the_limits_are_accepted);

fn good() -> v1::Customer {
    customer("good", "2024-01-01", &[])
}

/// A customer with one thing wrong.
fn bad(change: &dyn Fn(&mut v1::Customer)) -> v1::Customer {
    let mut bad = v1::Customer { customer_id: "bad".into(), ..good() };
    change(&mut bad);
    bad
}

/// Customers that are wrong in one field, and the field.
fn bad_fields() -> Vec<(v1::Customer, String)> {
    let long = "x".repeat(257);
    let mut cases = vec![
        (bad(&|c| c.customer_id.clear()), "customer_id".to_owned()),
        (bad(&|c| c.customer_id.clone_from(&long)), "customer_id".into()),
        (bad(&|c| c.customer_id = "🦀".repeat(65)), "customer_id".into()),
        (bad(&|c| c.customer_id = "a\0b".into()), "customer_id".into()),
        (bad(&|c| c.customer_id = "a\nb".into()), "customer_id".into()),
        (bad(&|c| c.name = "\0".into()), "name".into()),
        (bad(&|c| c.name.clone_from(&long)), "name".into()),
    ];
    for time in bad_times() {
        cases.push((bad(&|c| c.create_time = Some(time)), "create_time".into()));
    }
    cases
}

/// Customers that are wrong in one attribute, and the field.
fn bad_attributes() -> Vec<(v1::Customer, String)> {
    let cases = [
        ("", Kind::BoolValue(true), "attributes."),
        ("n\u{7}", Kind::BoolValue(true), "attributes.n\u{fffd}"),
        ("nan", Kind::NumberValue(f64::NAN), "attributes.nan"),
        ("inf", Kind::NumberValue(f64::INFINITY), "attributes.inf"),
        ("long", Kind::StringValue("x".repeat(1_025)), "attributes.long"),
        ("nul", Kind::StringValue("a\0".into()), "attributes.nul"),
        ("nested", Kind::StructValue(Default::default()), "attributes.nested"),
        ("list", Kind::ListValue(Default::default()), "attributes.list"),
    ];
    let mut cases: Vec<_> = cases
        .into_iter()
        .map(|(name, kind, field)| (customer("bad", "2024-01-01", &[(name, kind)]), field.to_owned()))
        .collect();
    let names: Vec<String> = (0..201).map(|n| format!("a{n}")).collect();
    let many: Vec<(&str, Kind)> = names.iter().map(|name| (name.as_str(), Kind::BoolValue(true))).collect();
    cases.push((customer("bad", "2024-01-01", &many), "attributes".into()));
    cases
}

async fn invalid_customers_are_refused(tally: Tally) {
    for (bad, field) in bad_fields().into_iter().chain(bad_attributes()) {
        let refused = tally.upsert(vec![good(), bad]).await;
        assert_invalid(refused, &[&format!("customers[1].{field}")]);
    }
    assert_invalid(tally.upsert(vec![]).await, &["customers"]);
    let too_many = (0..1_001).map(|n| customer(&format!("c{n}"), "2024-01-01", &[])).collect();
    assert_invalid(tally.upsert(too_many).await, &["customers"]);
    let twice = tally.upsert(vec![good(), good()]).await;
    assert_invalid(twice, &["customers[1].customer_id"]);
    assert_empty(&tally).await;
}

async fn customers_at_the_limits_are_accepted(tally: Tally) {
    let longest = vec![bad(&|c| c.customer_id = "🦀".repeat(64)), bad(&|c| c.customer_id = "x".repeat(256))];
    assert_eq!(tally.upsert(longest).await.unwrap(), 2);
}
