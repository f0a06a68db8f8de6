//! The types of attributes: what a model uses, what a few other values cost, and what the door makes of texts.

use prost_types::value::Kind;
use tally_proto::v1;

use crate::support::{Tally, customer, interaction, on_both_stores, time, timestamp};

on_both_stores!(a_few_texts_do_not_cost_a_numeric_attribute, texts_are_read_as_the_champion_reads_them);

const NOW: &str = "2025-01-01";
const SPEC: &str = "[lead]\nages_days = [0]\n";

/// Stores 600 leads that buy within five days if their total is above 500. The total of one in 30 is `unknown`.
async fn store_leads(tally: &Tally, unknown: &str) {
    let (mut customers, mut interactions) = (Vec::new(), Vec::new());
    for n in 0..600_i64 {
        let (id, total) = (format!("L{n:03}"), (n * 7_919) % 1_000);
        let created = time("2024-01-01").plus_days(n / 2);
        let value =
            if n % 30 == 7 { Kind::StringValue(unknown.to_owned()) } else { Kind::NumberValue(total as f64) };
        let plan = Kind::StringValue(if n % 2 == 0 { "month" } else { "year" }.to_owned());
        customers.push(customer(&id, &created.to_string(), &[("total", value), ("plan", plan)]));
        let noise = (n * 31) % 10 == 0;
        if (total > 500) != noise {
            let bought = created.plus_days(5).to_string();
            interactions.push(interaction(&id, "p", "purchase", &bought));
        }
        interactions.push(interaction(&id, "v", "visit", &created.to_string()));
    }
    tally.upsert(customers).await.unwrap();
    tally.backfill(interactions).await.unwrap();
}

async fn train(tally: &Tally) -> v1::Model {
    tally.train_with_spec("lead", SPEC, &["--split", "random", "--as-of", NOW, "--promote", "always"]);
    tally.card("lead").await
}

fn attribute(card: &v1::Model, name: &str) -> Option<v1::AttributeType> {
    card.attributes.iter().find(|attribute| attribute.name == name).map(v1::ModelAttribute::r#type)
}

async fn a_few_texts_do_not_cost_a_numeric_attribute(tally: Tally) {
    store_leads(&tally, "unknown").await;
    let card = train(&tally).await;
    assert_eq!(attribute(&card, "total"), Some(v1::AttributeType::Number));
    assert!(card.holdout.unwrap().auc > 0.8, "{:?}", card.holdout);
    assert_eq!(card.amount_decimals, 2);
}

async fn mismatches(tally: &Tally) -> f64 {
    let (_, text) = tally.get("/metrics").await;
    let name = "tally_attribute_type_mismatches_total{target=\"lead\",attribute=\"total\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

async fn stored(tally: &Tally, id: &str) -> Option<Kind> {
    let request = v1::GetCustomerRequest { customer_id: id.to_owned() };
    let customer = tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap();
    customer.attributes.unwrap().fields.remove("total").and_then(|value| value.kind)
}

async fn texts_are_read_as_the_champion_reads_them(tally: Tally) {
    store_leads(&tally, "n/a").await;
    let text = |text: &str| Kind::StringValue(text.to_owned());
    let with_total =
        |id: &str, total| vec![customer(id, "2024-12-01", &[("total", total), ("plan", text("7"))])];
    tally.upsert(with_total("before", text("812.50"))).await.unwrap();
    assert_eq!(stored(&tally, "before").await, Some(text("812.50")), "types are the caller's before a model");
    let card = train(&tally).await;
    assert_eq!(attribute(&card, "total"), Some(v1::AttributeType::Number));
    // The first score loads the champion, unless it was loaded already.
    let request = v1::ScoreLeadRequest {
        customer_id: "before".to_owned(),
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    tally.score_lead(request).await.unwrap();
    for (n, (sent, wanted, counted)) in [
        (text(" 812.50 "), Some(Kind::NumberValue(812.5)), 0.0),
        (Kind::NumberValue(3.0), Some(Kind::NumberValue(3.0)), 0.0),
        (text("N/A"), None, 0.0),
        (text("high"), Some(text("high")), 1.0),
        (text("007"), Some(text("007")), 2.0),
        (Kind::BoolValue(true), Some(Kind::BoolValue(true)), 3.0),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("after{n}");
        tally.upsert(with_total(&id, sent)).await.unwrap();
        assert_eq!(stored(&tally, &id).await, wanted, "{id}");
        assert_eq!(mismatches(&tally).await, counted, "{id}");
    }
}
