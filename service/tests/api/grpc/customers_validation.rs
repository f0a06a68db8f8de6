//! UpsertCustomers refuses invalid customers.

use std::collections::BTreeMap;

use prost_types::{Struct, Timestamp, Value, value::Kind};
use tally_proto::v1;
use tonic_types::StatusExt;

use super::{assert_empty, assert_invalid, bad_times};
use crate::support::{Tally, customer, on_both_stores};

on_both_stores!(
    invalid_customers_are_refused,
    customers_at_the_limits_are_accepted,
    blanks_and_placeholders_are_no_content,
    names_that_are_the_same_without_blanks_are_refused,
);

fn good() -> v1::Customer {
    customer("good", "2024-01-01", &[])
}

fn text(text: &str) -> Kind {
    Kind::StringValue(text.to_owned())
}

async fn stored(tally: &Tally, id: &str) -> v1::Customer {
    let request = v1::GetCustomerRequest { customer_id: id.to_owned() };
    tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap()
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
        (bad(&|c| c.customer_id = "王".repeat(257)), "customer_id".into()),
        (bad(&|c| c.customer_id = " \u{feff}\u{a0}".into()), "customer_id".into()),
        (bad(&|c| c.customer_id = " NaN ".into()), "customer_id".into()),
        (bad(&|c| c.create_time = Some(Timestamp::default())), "create_time".into()),
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
    // What protobuf.js makes of plain objects.
    let lost = |fields| Some(Struct { fields });
    cases.push((bad(&|c| c.attributes = lost(BTreeMap::new())), "attributes".into()));
    let no_kind = || BTreeMap::from([("plan".to_owned(), Value::default())]);
    cases.push((bad(&|c| c.attributes = lost(no_kind())), "attributes.plan".into()));
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
    let mut longest =
        customer(&"王".repeat(256), "2024-01-01", &[(&"客".repeat(64), text(&"值".repeat(1_024)))]);
    longest.name = "名".repeat(256);
    let longest = vec![longest, bad(&|c| c.customer_id = "x".repeat(256))];
    assert_eq!(tally.upsert(longest.clone()).await.unwrap(), 2);
    assert_eq!(stored(&tally, &longest[0].customer_id).await.attributes, longest[0].attributes);
}

async fn blanks_and_placeholders_are_no_content(tally: Tally) {
    let sent = customer(
        "\u{feff}17850\u{a0}",
        "2024-01-01",
        &[
            (" plan ", text("\u{3000}pro plan \n")),
            ("visits", Kind::NumberValue(3.0)),
            ("total", text(" ")),
            ("income", text("N/A")),
            ("score", text(" NaN")),
            ("region", text("#N/A")),
            ("nothing", text("")),
            ("city", text("Nanning")),
        ],
    );
    let sent = v1::Customer { name: " Ann\t".to_owned(), ..sent };
    assert_eq!(tally.upsert(vec![sent]).await.unwrap(), 1);
    let wanted = customer(
        "17850",
        "2024-01-01",
        &[("city", text("Nanning")), ("plan", text("pro plan")), ("visits", Kind::NumberValue(3.0))],
    );
    for id in ["17850", " 17850", "17850\u{200b}"] {
        let stored = stored(&tally, id).await;
        assert_eq!(stored, v1::Customer { name: "Ann".to_owned(), ..wanted.clone() }, "{id:?}");
    }
    tally.delete("17850\u{2009}").await.unwrap();
    assert_empty(&tally).await;
}

async fn names_that_are_the_same_without_blanks_are_refused(tally: Tally) {
    let same = customer("a", "2024-01-01", &[("plan", text("a")), ("plan\u{200b}", text("b"))]);
    let refused = tally.upsert(vec![good(), same]).await.unwrap_err();
    let violation = &refused.get_details_bad_request().unwrap().field_violations[0];
    assert_eq!(violation.field, "customers[1].attributes");
    assert_eq!(
        violation.description,
        "has \"plan\" and \"plan\\u{200b}\", which are the same without blanks at their ends"
    );
    let ids = ["c", " c"].map(|id| v1::Customer { customer_id: id.to_owned(), ..good() });
    assert_invalid(tally.upsert(ids.to_vec()).await, &["customers[1].customer_id"]);
    assert_empty(&tally).await;
}
