//! GetCampaigns: whom campaigns reached, and how many of those bought.

use tally_model::time::Time;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use super::report_requests::{sale, with};
use crate::support::{Tally, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    only_purchases_within_the_window_of_the_judged_count,
    a_customer_is_reached_once_at_the_first_interaction,
    merged_ids_are_reached_as_one_customer,
    campaigns_are_in_the_order_of_their_names,
    without_campaigns_there_are_no_rows,
);

fn reached(customer: &str, id: &str, day: &str, campaign: &str) -> v1::Interaction {
    with(interaction(customer, id, "email", day), "campaign", campaign)
}

fn row(campaign: &str, [reached, judged, converted, revenue_minor]: [i64; 4]) -> v1::CampaignRow {
    let by_judged = |number: i64| (judged > 0).then(|| number as f64 / judged as f64);
    v1::CampaignRow {
        campaign: campaign.to_owned(),
        reached,
        judged,
        converted,
        revenue_minor,
        conversion_rate: by_judged(converted),
        revenue_per_reached_minor: by_judged(revenue_minor),
    }
}

fn between(from: &str, to: &str) -> v1::GetCampaignsRequest {
    let at = |text| Some(timestamp(time(text)));
    v1::GetCampaignsRequest { from_time: at(from), to_time: at(to), window_days: 0 }
}

async fn only_purchases_within_the_window_of_the_judged_count(tally: Tally) {
    let yesterday = system_clock().plus_days(-1);
    let all = vec![
        reached("a", "1", "2024-01-01T08:00:00Z", "new year"),
        sale("a", "2", "purchase", "2024-01-01T08:00:00Z", 1),
        sale("a", "3", "purchase", "2024-01-01T08:00:00.000001Z", 10),
        sale("a", "4", "purchase", "2024-01-31T08:00:00Z", 100),
        sale("a", "5", "purchase", "2024-01-31T08:00:00.000001Z", 1_000),
        sale("a", "6", "return", "2024-01-05", 10_000),
        reached("b", "1", "2024-01-01", "new year"),
        sale("b", "2", "purchase", "2024-03-01", 7),
        // A purchase may say what it is owed to, but reaches nobody.
        with(sale("c", "1", "purchase", "2024-01-02", 7), "campaign", "new year"),
        with(sale("c", "2", "return", "2024-01-02", 7), "campaign", "returns"),
        // Its window is not over.
        reached("d", "1", &yesterday.to_string(), "new year"),
        sale("d", "2", "purchase", &Time(yesterday.0 + 1_000_000).to_string(), 7),
        reached("e", "1", &yesterday.to_string(), "fresh"),
    ];
    tally.backfill(all).await.unwrap();
    let ask = async |window_days| {
        tally.campaigns(v1::GetCampaignsRequest { window_days, ..Default::default() }).await.unwrap()
    };
    assert_eq!(ask(0).await, [row("fresh", [1, 0, 0, 0]), row("new year", [3, 2, 1, 110])]);
    assert_eq!(ask(30).await, ask(0).await);
    assert_eq!(ask(31).await[1], row("new year", [3, 2, 1, 1_110]));
    assert_eq!(ask(90).await[1], row("new year", [3, 2, 2, 1_117]));
    assert_eq!(ask(1).await, [row("fresh", [1, 1, 0, 0]), row("new year", [3, 3, 2, 17])]);
    assert_eq!(ask(3_650).await, [row("fresh", [1, 0, 0, 0]), row("new year", [3, 0, 0, 0])]);
}

async fn a_customer_is_reached_once_at_the_first_interaction(tally: Tally) {
    let all = vec![
        reached("a", "1", "2024-01-01", "x"),
        reached("a", "2", "2024-02-01", "x"),
        with(interaction("a", "3", "visit", "2024-02-01"), "campaign", "y"),
        sale("a", "4", "purchase", "2024-02-10", 50),
        reached("b", "1", "2024-02-01", "x"),
        sale("b", "2", "purchase", "2024-02-10", 5),
        sale("b", "3", "purchase", "2024-02-11", 6),
    ];
    tally.backfill(all).await.unwrap();
    let ask = async |from, to| tally.campaigns(between(from, to)).await.unwrap();
    assert_eq!(ask("2024-01-01", "2024-03-01").await, [row("x", [2, 2, 1, 11]), row("y", [1, 1, 1, 50])]);
    // Later interactions of the same campaign do not reach `a` again.
    assert_eq!(ask("2024-01-02", "2024-03-01").await, [row("x", [1, 1, 1, 11]), row("y", [1, 1, 1, 50])]);
    assert_eq!(ask("2024-01-01", "2024-02-01").await, [row("x", [1, 1, 0, 0])]);
    assert_eq!(ask("2024-02-01", "2024-02-02").await, [row("x", [1, 1, 1, 11]), row("y", [1, 1, 1, 50])]);
    assert_eq!(ask("2024-02-02", "2024-03-01").await, []);
}

async fn merged_ids_are_reached_as_one_customer(tally: Tally) {
    let all = vec![
        reached("a", "1", "2024-03-01", "x"),
        reached("b", "1", "2024-03-05", "x"),
        sale("c", "1", "purchase", "2024-03-04", 5),
        sale("c", "2", "purchase", "2024-03-20", 6),
    ];
    tally.backfill(all).await.unwrap();
    let ask = async || tally.campaigns(v1::GetCampaignsRequest::default()).await.unwrap();
    assert_eq!(ask().await, [row("x", [2, 2, 0, 0])]);
    tally.merge("b", "c").await.unwrap();
    assert_eq!(ask().await, [row("x", [2, 2, 1, 6])]);
    tally.merge("c", "a").await.unwrap();
    assert_eq!(ask().await, [row("x", [1, 1, 1, 11])]);
}

async fn campaigns_are_in_the_order_of_their_names(tally: Tally) {
    let names = ["Z", "a", "a b", "z", "é", "😀"];
    let all = names.iter().rev().map(|name| reached("a", name, "2024-01-01", name));
    tally.backfill(all.collect()).await.unwrap();
    let found = tally.campaigns(v1::GetCampaignsRequest::default()).await.unwrap();
    assert_eq!(found.iter().map(|row| row.campaign.as_str()).collect::<Vec<_>>(), names);
}

async fn without_campaigns_there_are_no_rows(tally: Tally) {
    assert_eq!(tally.campaigns(v1::GetCampaignsRequest::default()).await.unwrap(), []);
    tally.backfill(vec![interaction("a", "1", "email", "2024-01-01")]).await.unwrap();
    assert_eq!(tally.campaigns(v1::GetCampaignsRequest::default()).await.unwrap(), []);
}
