//! Attributes: counted by name and type, and brought into the past where they came late.

use prost_types::value::Kind;
use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tonic::Code;

use crate::support::{
    Database, Tally, assert_refused, customer, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    attributes_are_counted_by_name_and_type,
    an_attribute_that_comes_late_is_known_from_the_beginning,
    predictions_that_a_backfill_concerns_are_marked,
    names_of_attributes_are_checked,
);

async fn attributes_are_counted_by_name_and_type(tally: Tally) {
    let attribute = |name: &'static str, kind| [(name, kind)];
    tally
        .upsert(vec![
            customer("a", "2024-01-01", &attribute("size", Kind::NumberValue(0.5))),
            customer("b", "2024-01-01", &attribute("size", Kind::NumberValue(7.0))),
            customer("c", "2024-01-01", &attribute("size", Kind::StringValue("large".into()))),
            customer("d", "2024-01-01", &attribute("vip", Kind::BoolValue(false))),
            customer("e", "2024-01-01", &attribute("gone", Kind::BoolValue(true))),
            customer("f", "2024-01-01", &[]),
        ])
        .await
        .unwrap();
    // Only current records count, and merged ids have none.
    tally.upsert(vec![customer("e", "2024-01-01", &attribute("vip", Kind::BoolValue(true)))]).await.unwrap();
    tally.merge("b", "f").await.unwrap();
    let reply = tally.customers().list_attributes(v1::ListAttributesRequest {}).await.unwrap();
    let stored = |name: &str, numbers, booleans, texts| v1::StoredAttribute {
        name: name.to_owned(),
        numbers,
        booleans,
        texts,
    };
    assert_eq!(reply.into_inner().attributes, [stored("size", 2, 0, 1), stored("vip", 0, 2, 0)]);
}

/// Leads whose size decides whether they buy.
struct Leads;

impl Leads {
    const NUMBER: i64 = 400;

    fn created(n: i64) -> Time {
        Time(time("2024-01-01").0 + n * DAY / 2)
    }

    /// Drawn, by the golden ratio, from 0 to 99.
    fn size(n: i64) -> f64 {
        (n as f64 * 0.618_033_988_749_895).fract() * 100.0
    }

    fn records(with_size: bool) -> Vec<v1::Customer> {
        let record = |n| {
            let source = ("source", Kind::StringValue(if n % 3 == 0 { "web" } else { "fair" }.to_owned()));
            let size = ("size", Kind::NumberValue(Self::size(n)));
            let all = [source, size];
            let attributes = if with_size { &all[..] } else { &all[..1] };
            customer(&format!("L{n:03}"), &Self::created(n).to_string(), attributes)
        };
        (0..Self::NUMBER).map(record).collect()
    }

    fn interactions() -> Vec<v1::Interaction> {
        let of = |n: i64| {
            let id = format!("L{n:03}");
            let visit = interaction(&id, "visit", "visit", &Self::created(n).to_string());
            let bought = Self::created(n).plus_days(5).to_string();
            let purchase =
                (Self::size(n) > 50.0 && n % 7 != 0).then(|| interaction(&id, "buy", "purchase", &bought));
            std::iter::once(visit).chain(purchase)
        };
        (0..Self::NUMBER).flat_map(of).collect()
    }
}

/// The hash of a lead model, which is that of all that was learned.
async fn train(tally: &Tally) -> String {
    let arguments = ["--as-of", "2025-01-01", "--split", "random", "--promote", "always"];
    tally.train_with_spec("lead", "[lead]\nages_days = [0]\n", &arguments);
    tally.card("lead/1").await.artifact_hash
}

/// An empty database of the same kind.
async fn another(tally: &Tally) -> Tally {
    let sqlite = tally.database.is_sqlite();
    Tally::start(if sqlite { Database::sqlite() } else { Database::postgres().await }).await
}

async fn an_attribute_that_comes_late_is_known_from_the_beginning(tally: Tally) {
    let at_once = tally;
    at_once.upsert(Leads::records(true)).await.unwrap();
    at_once.backfill(Leads::interactions()).await.unwrap();

    let in_two_steps = another(&at_once).await;
    in_two_steps.upsert(Leads::records(false)).await.unwrap();
    in_two_steps.backfill(Leads::interactions()).await.unwrap();
    let reply = in_two_steps.upsert_backfilled(Leads::records(true), &["size"]).await.unwrap();
    assert_eq!(
        (reply.upserted, reply.backfilled, reply.outdated_predictions),
        (Leads::NUMBER, Leads::NUMBER, 0)
    );
    let again = in_two_steps.upsert_backfilled(Leads::records(true), &["size"]).await.unwrap();
    assert_eq!((again.upserted, again.backfilled), (Leads::NUMBER, 0), "the past has it already");

    let interactions_first = another(&at_once).await;
    interactions_first.backfill(Leads::interactions()).await.unwrap();
    interactions_first.upsert_backfilled(Leads::records(true), &["size", "source"]).await.unwrap();

    // Known only since it was said, its versions begin too late for training.
    let late = another(&at_once).await;
    late.backfill(Leads::interactions()).await.unwrap();
    late.upsert(Leads::records(false)).await.unwrap();
    late.upsert_backfilled(Leads::records(true), &["size"]).await.unwrap();

    let hash = train(&at_once).await;
    assert_eq!(train(&in_two_steps).await, hash);
    assert_eq!(train(&interactions_first).await, hash);
    train(&late).await;
    let used = |card: &v1::Model| card.coefficients.iter().any(|one| one.feature.contains("size"));
    assert!(used(&late.card("lead/1").await) && used(&at_once.card("lead/1").await));
}

async fn predictions_that_a_backfill_concerns_are_marked(tally: Tally) {
    tally.upsert(Leads::records(true)).await.unwrap();
    tally.backfill(Leads::interactions()).await.unwrap();
    train(&tally).await;
    let score = async |as_of: &str| {
        let request = v1::ScoreLeadRequest {
            customer_id: "late".to_owned(),
            as_of_time: Some(timestamp(time(as_of))),
            persist: true,
            ..Default::default()
        };
        tally.score_lead(request).await.unwrap()
    };
    // Created in June, first seen in May, and without a size.
    tally.upsert(vec![customer("late", "2024-06-01", &[])]).await.unwrap();
    let visit = interaction("late", "visit", "visit", "2024-05-01");
    tally.backfill(vec![visit]).await.unwrap();
    for as_of in ["2024-05-01", "2024-07-01"] {
        score(as_of).await;
    }
    let size = [("size", Kind::NumberValue(99.0)), ("source", Kind::StringValue("web".into()))];
    let before = score("2024-05-02").await;
    let reply =
        tally.upsert_backfilled(vec![customer("late", "2024-06-01", &size)], &["size"]).await.unwrap();
    assert_eq!((reply.backfilled, reply.outdated_predictions), (1, 3));
    let marked = "SELECT count(*) FROM predictions WHERE backfill_time IS NOT NULL";
    assert_eq!(tally.database.sql(marked).await, Some(3));
    let after = score("2024-05-02").await;
    assert_ne!(before.probability, after.probability, "its size is known then");

    // Had before, it counts from now on.
    let other = [("size", Kind::NumberValue(1.0)), ("source", Kind::StringValue("web".into()))];
    let reply =
        tally.upsert_backfilled(vec![customer("late", "2024-06-01", &other)], &["size"]).await.unwrap();
    assert_eq!((reply.backfilled, reply.outdated_predictions), (0, 0));
    assert_eq!(score("2024-05-02").await.probability, after.probability);
}

async fn names_of_attributes_are_checked(tally: Tally) {
    let many: Vec<String> = (0..201).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (names, field) in [(many.as_slice(), "backfill_attributes"), (&["a", ""], "backfill_attributes[1]")] {
        let refused = tally.upsert_backfilled(vec![customer("c", "2024-01-01", &[])], names).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}
