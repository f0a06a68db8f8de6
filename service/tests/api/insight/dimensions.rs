//! What sales are divided by: channels, properties of any name, and attributes as they stood.

use prost_types::value::Kind;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use super::report_requests::{months, sale, with};
use crate::support::{Tally, customer, on_both_stores, timestamp};

on_both_stores!(
    properties_of_any_name_are_found,
    attributes_are_those_of_the_time_of_the_interaction,
    attributes_of_a_merged_id_are_those_of_its_survivor,
    values_of_attributes_are_the_same_text_on_both_databases,
    channels_divide_sales,
);

/// The values of a report with their revenue, by value.
async fn revenues(tally: &Tally, request: v1::GetSalesReportRequest) -> Vec<(String, i64)> {
    let rows = tally.sales(request).await.unwrap().rows;
    let mut found: Vec<_> = rows.into_iter().map(|row| (row.value, row.revenue_minor)).collect();
    found.sort();
    found
}

async fn january(tally: &Tally, dimension: &str) -> Vec<(String, i64)> {
    revenues(tally, months("2024-01-01", "2024-02-01", dimension)).await
}

fn expected(values: &[(&str, i64)]) -> Vec<(String, i64)> {
    let mut values: Vec<_> = values.iter().map(|(value, revenue)| ((*value).to_owned(), *revenue)).collect();
    values.sort();
    values
}

async fn properties_of_any_name_are_found(tally: Tally) {
    let names = [
        "plain",
        "a.b",
        "a",
        "$",
        "$.a",
        "$[0]",
        "[0]",
        "[#-1]",
        "0",
        "-1",
        "a\"b",
        "\"",
        "\\",
        "a\\\"b",
        "a\\u0062",
        "a'b",
        "'",
        "''); DROP TABLE interactions; --",
        "a b",
        "é",
        "😀",
        "%",
        "_",
        "?",
        "$1",
        "*",
        "{}",
        "a:b",
        ":",
        "->",
        "null",
        "true",
        "@",
        "#",
    ];
    let all = names.iter().zip(1..).map(|(name, n)| {
        let item = sale("x", &format!("{n}"), "purchase", "2024-01-05", n);
        with(item, name, &format!("of {name}"))
    });
    tally.backfill(all.collect()).await.unwrap();
    let total = (1..=names.len() as i64).sum::<i64>();
    for (name, n) in names.iter().zip(1..) {
        let found = january(&tally, &format!("property:{name}")).await;
        assert_eq!(found, expected(&[("", total - n), (&format!("of {name}"), n)]), "{name}");
    }
    assert_eq!(
        january(&tally, "property: plain ").await.len(),
        2,
        "blanks at the ends of a name never count"
    );
    assert_eq!(january(&tally, "property:unknown").await, expected(&[("", total)]));
    // Attributes have such names as well.
    let attributes = names.map(|name| (name, Kind::StringValue(format!("of {name}"))));
    tally.upsert(vec![customer("x", "2023-01-01", &attributes)]).await.unwrap();
    for name in names {
        let found = january(&tally, &format!("attribute:{name}")).await;
        assert_eq!(found, expected(&[(&format!("of {name}"), total)]), "{name}");
    }
}

async fn attributes_are_those_of_the_time_of_the_interaction(tally: Tally) {
    let region = |name: &str| vec![("region", Kind::StringValue(name.to_owned()))];
    tally.upsert(vec![customer("a", "2024-01-10", &region("north"))]).await.unwrap();
    let now = system_clock();
    tally.upsert(vec![customer("a", "2024-01-10", &region("south"))]).await.unwrap();
    let tomorrow = now.plus_days(1);
    let all = vec![
        // Before the customer existed, while it was in the north, and after it has moved.
        sale("a", "1", "purchase", "2024-01-09", 1),
        sale("a", "2", "purchase", "2024-01-10", 2),
        sale("a", "3", "purchase", &tally_model::time::Time(tomorrow.0 - 1_000_000).to_string(), 4),
        sale("nobody", "4", "purchase", "2024-01-20", 8),
    ];
    tally.backfill(all).await.unwrap();
    let request = v1::GetSalesReportRequest {
        period: v1::Period::All.into(),
        to_time: Some(timestamp(tomorrow)),
        ..months("2024-01-01", "2024-02-01", "attribute:region")
    };
    assert_eq!(revenues(&tally, request.clone()).await, expected(&[("", 9), ("north", 2), ("south", 4)]));
    // A later version counts from its time on, also when that is before the time of the version before.
    let moved = "UPDATE customer_versions SET effective_time = create_time WHERE version = 2";
    tally.database.sql(moved).await;
    assert_eq!(revenues(&tally, request).await, expected(&[("", 9), ("south", 6)]));
}

async fn attributes_of_a_merged_id_are_those_of_its_survivor(tally: Tally) {
    let plan = |name: &str| vec![("plan", Kind::StringValue(name.to_owned()))];
    let customers = [("old", "basic"), ("mid", "plus"), ("new", "pro")];
    tally.upsert(customers.map(|(id, name)| customer(id, "2024-01-01", &plan(name))).to_vec()).await.unwrap();
    tally
        .backfill(customers.map(|(id, _)| sale(id, "1", "purchase", "2024-01-05", 10)).to_vec())
        .await
        .unwrap();
    assert_eq!(
        january(&tally, "attribute:plan").await,
        expected(&[("basic", 10), ("plus", 10), ("pro", 10)])
    );
    tally.merge("old", "mid").await.unwrap();
    assert_eq!(january(&tally, "attribute:plan").await, expected(&[("plus", 20), ("pro", 10)]));
    tally.merge("mid", "new").await.unwrap();
    assert_eq!(january(&tally, "attribute:plan").await, expected(&[("pro", 30)]));
}

async fn values_of_attributes_are_the_same_text_on_both_databases(tally: Tally) {
    let number = Kind::NumberValue;
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let values = [
        (number(3.0), "3"),
        (number(-3.0), "-3"),
        (number(0.0), "0"),
        (number(-0.0), "0"),
        (number(12.5), "12.5"),
        (number(0.1), "0.1"),
        (number(0.1 + 0.2), "0.30000000000000004"),
        (number(100.0), "100"),
        (number(1_234_567_890_123.0), "1234567890123"),
        (number(9_007_199_254_740_993.0), "9007199254740992"),
        (number(1e21), "1e21"),
        (number(-1.5e-7), "-1.5e-7"),
        (number(f64::MAX), "1.7976931348623157e308"),
        (Kind::BoolValue(true), "true"),
        (Kind::BoolValue(false), "false"),
        (text("plain"), "plain"),
        (text("1.0"), "1.0"),
        (text("say \"yes\" \\ or\nno\t\u{7f}é😀"), "say \"yes\" \\ or\nno\t\u{7f}é😀"),
        (text("\"3.0"), "\"3.0"),
    ];
    for (n, (value, shown)) in values.into_iter().enumerate() {
        let id = format!("c{n}");
        tally.upsert(vec![customer(&id, "2024-01-01", &[("v", value.clone())])]).await.unwrap();
        tally.backfill(vec![sale(&id, "1", "purchase", "2024-01-05", 10)]).await.unwrap();
        assert_eq!(january(&tally, "attribute:v").await, expected(&[(shown, 10)]), "{value:?}");
        tally.delete(&id).await.unwrap();
    }
    // The same text is the same value, whatever its type.
    let same = [("a", number(3.0)), ("b", text("3"))];
    tally
        .upsert(same.clone().map(|(id, value)| customer(id, "2024-01-01", &[("v", value)])).to_vec())
        .await
        .unwrap();
    tally.backfill(same.map(|(id, _)| sale(id, "1", "purchase", "2024-01-05", 10)).to_vec()).await.unwrap();
    assert_eq!(january(&tally, "attribute:v").await, expected(&[("3", 20)]));
    assert_eq!(january(&tally, "attribute:w").await, expected(&[("", 20)]));
}

async fn channels_divide_sales(tally: Tally) {
    let on = |id: &str, channel: &str, kind: &str, amount| v1::Interaction {
        channel: channel.to_owned(),
        ..sale("a", id, kind, "2024-01-05", amount)
    };
    let all = vec![
        on("1", "web", "purchase", 5),
        on("2", "web", "return", 2),
        on("3", "Web", "purchase", 7),
        on("4", "", "purchase", 9),
        on("5", "shop", "return", 1),
        on("6", "phone", "call", 3),
    ];
    tally.backfill(all).await.unwrap();
    assert_eq!(january(&tally, "channel").await, expected(&[("", 9), ("Web", 7), ("shop", 0), ("web", 5)]));
}
