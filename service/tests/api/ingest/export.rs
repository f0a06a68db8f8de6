//! Exports of all that is stored of one customer.

use std::collections::BTreeMap;

use prost_types::value::Kind;
use tally_proto::v1::{self, export_customer_response::Part};
use tonic::Code;

use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores};

on_both_stores!(
    an_export_has_all_rows_of_a_customer,
    large_exports_are_whole,
    an_export_of_a_customer_who_is_erased_meanwhile_fails,
);

/// Tables with copies of what others have.
const COPIES: [&str; 2] = ["latest_predictions", "packed_histories"];

async fn export(tally: &Tally, id: &str) -> Vec<Part> {
    let request = v1::ExportCustomerRequest { customer_id: id.to_owned() };
    let mut stream = tally.customers().export_customer(request).await.unwrap().into_inner();
    let mut parts = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        parts.push(message.part.unwrap());
    }
    parts
}

/// The table of a part, and the id that it is stored under.
fn place(part: &Part) -> (String, String) {
    match part {
        Part::Customer(_) => panic!("no row"),
        Part::Interaction(one) => ("interactions".to_owned(), one.customer_id.clone()),
        Part::Prediction(one) => ("predictions".to_owned(), one.customer_id.clone()),
        Part::Alert(one) => ("alerts".to_owned(), one.customer_id.clone()),
        Part::Row(row) => {
            let id = row.values.as_ref().unwrap().fields["customer_id"].kind.clone().unwrap();
            let Kind::StringValue(id) = id else { panic!("{id:?}") };
            (row.table.clone(), id)
        }
    }
}

async fn an_export_has_all_rows_of_a_customer(tally: Tally) {
    for id in ["kept", "merged", "other"] {
        tally
            .upsert(vec![customer(id, "2024-01-01", &[("plan", Kind::StringValue("pro".to_owned()))])])
            .await
            .unwrap();
        let items = (1..4).map(|n| interaction(id, &format!("i{n}"), "visit", &format!("2024-01-0{n}")));
        tally.backfill(items.collect()).await.unwrap();
    }
    tally.retract(&[("kept", "i2"), ("merged", "i3")]).await.unwrap();
    tally.merge("merged", "kept").await.unwrap();
    for id in ["kept", "merged", "other"] {
        tally.database.fill_tables(id, &format!("text of {id}")).await;
    }
    let pass = "INSERT INTO insight_passes (as_of_time, known_time, kept, state, population) VALUES";
    let values = match tally.database.is_sqlite() {
        true => "(1704067200000000, 1704067200000000, 1, 'complete', '{}')",
        false => "('2024-01-01', '2024-01-01', true, 'complete', '{}')",
    };
    tally.database.sql(&format!("{pass} {values}")).await;

    let parts = export(&tally, "merged").await;
    let Some(Part::Customer(first)) = parts.first() else { panic!("{parts:?}") };
    assert_eq!(
        (first.customer_id.as_str(), first.merged_customer_ids.as_slice()),
        ("kept", ["merged".to_owned()].as_slice())
    );
    let mut exported: BTreeMap<(String, String), i64> = BTreeMap::new();
    for part in &parts[1..] {
        *exported.entry(place(part)).or_default() += 1;
    }
    let mut stored = BTreeMap::new();
    for id in ["kept", "merged"] {
        let rows = tally.database.rows_of(id).await.into_iter();
        let rows = rows.filter(|(table, _)| !COPIES.contains(&table.as_str()));
        stored.extend(rows.map(|(table, rows)| ((table, id.to_owned()), rows)));
    }
    assert_eq!(exported, stored, "the rows of tables, by id; a new table needs a place in ExportTable");

    let row = |table: &str, id: &str| {
        let found = parts.iter().find_map(|part| match part {
            Part::Row(row) if place(part) == (table.to_owned(), id.to_owned()) => row.values.clone(),
            _ => None,
        });
        found.unwrap().fields
    };
    let text = |kind: &str| Some(Kind::StringValue(kind.to_owned()));
    let retracted = row("retracted_interactions", "kept");
    assert_eq!(retracted["reason"].kind, text("a test order"));
    assert_eq!(retracted["occur_time"].kind, text("2024-01-02T00:00:00Z"));
    assert_eq!(row("customers", "merged")["merged_into"].kind, text("kept"));
    let attributes = row("customer_versions", "kept")["attributes"].kind.clone();
    assert!(
        matches!(attributes, Some(Kind::StructValue(attributes)) if attributes.fields["plan"].kind == text("pro"))
    );
    assert_eq!(row("worklist_episodes", "kept")["held_out"].kind, Some(Kind::BoolValue(true)));
    assert!(!format!("{parts:?}").contains("text of other"));

    let unknown = v1::ExportCustomerRequest { customer_id: "nobody".to_owned() };
    let refused = tally.customers().export_customer(unknown).await.map(|_| ());
    assert_refused(refused, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn large_exports_are_whole(tally: Tally) {
    let item = |n: usize| interaction("c", &format!("i{n:05}"), "visit", "2024-01-02");
    tally.backfill((0..1_200).map(item).collect()).await.unwrap();
    let keys: Vec<(String, String)> = (0..600).map(|n| ("c".to_owned(), format!("i{n:05}"))).collect();
    tally.retract(&keys).await.unwrap();
    let mut ids: Vec<String> = export(&tally, "c")
        .await
        .iter()
        .filter_map(|part| match part {
            Part::Interaction(one) => Some(one.interaction_id.clone()),
            Part::Row(row) if row.table == "retracted_interactions" => {
                match row.values.as_ref()?.fields["interaction_id"].kind.clone()? {
                    Kind::StringValue(id) => Some(id),
                    _ => None,
                }
            }
            _ => None,
        })
        .collect();
    ids.sort();
    let all: Vec<String> = (0..1_200).map(|n| format!("i{n:05}")).collect();
    assert_eq!(ids, all);
}

async fn an_export_of_a_customer_who_is_erased_meanwhile_fails(tally: Tally) {
    // More than the server reads ahead.
    for part in 0..10 {
        let items = (0..5_000).map(|n| interaction("c", &format!("{part}-{n}"), "visit", "2024-01-01"));
        tally.backfill(items.collect()).await.unwrap();
    }
    let request = v1::ExportCustomerRequest { customer_id: "c".to_owned() };
    let mut stream = tally.customers().export_customer(request).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    tally.delete("c").await.unwrap();
    let end = loop {
        match stream.message().await {
            Ok(part) => assert!(part.is_some(), "it must not look complete"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::NotFound, "{end}");
}
