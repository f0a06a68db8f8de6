//! The views for dashboards.

use prost_types::value::Kind;

use super::{AS_OF, paid};
use crate::support::{Tally, customer, on_both_stores};

on_both_stores!(dashboards_read_the_latest_pass_and_the_sales);

async fn dashboards_read_the_latest_pass_and_the_sales(tally: Tally) {
    let region = Kind::StringValue("north".to_owned());
    tally.upsert(vec![customer("ada", "2023-01-01", &[("region", region)])]).await.unwrap();
    tally
        .backfill(vec![
            paid("ada", "1", "purchase", "2024-03-01T10:00:00.5Z", 700),
            paid("ada", "2", "return", "2024-04-30T23:59:59Z", 200),
            paid("ada", "3", "purchase", "2024-05-01", 1_000),
            paid("old", "1", "purchase", "2024-03-31T23:59:59Z", 50),
            paid("bob", "1", "purchase", "2024-03-15", 25),
        ])
        .await
        .unwrap();
    tally.merge("old", "ada").await.unwrap();
    tally.refresh_insights("2024-04-01").await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    let database = &tally.database;
    let as_of = if database.is_sqlite() { "2024-06-01T00:00:00.000000Z" } else { "2024-06-01T00:00:00Z" };
    let first = if database.is_sqlite() { "2024-03-01T10:00:00.500000Z" } else { "2024-03-01T10:00:00.5Z" };
    let count = async |what: &str| database.sql(&format!("SELECT count(*) FROM {what}")).await.unwrap();

    let ada = format!(
        "v_customer_insights WHERE customer_id = 'ada' AND as_of_time = '{as_of}' AND abc_class = 'A' \
         AND revenue_minor = 1750 AND returns_minor = 200 AND net_minor = 1550 AND orders = 3 \
         AND total_profit_minor = 1550 AND purchase_days = 3 AND first_purchase_time = '{first}' \
         AND satisfaction IS NULL AND discount_share = 0 AND attributes ->> 'region' = 'north'"
    );
    assert_eq!((count("v_customer_insights").await, count(&ada).await), (2, 1));
    let a = "v_segments WHERE segmentation = 'abc' AND segment = 'A' AND customers = 1 AND net_minor = 1550";
    assert_eq!(count(a).await, 1);
    let sum = async |what: &str| {
        database
            .sql(&format!(
                "SELECT CAST(sum(customers) AS BIGINT) FROM v_segments WHERE segmentation = '{what}'"
            ))
            .await
    };
    for segmentation in ["abc", "rfm", "rfm_cell", "life_cycle", "value_loyalty"] {
        assert_eq!(sum(segmentation).await, Some(2), "{segmentation}");
    }
    for (month, revenue, returns, orders, customers) in
        [("2024-03-01", 775, 0, 3, 2), ("2024-04-01", 0, 200, 0, 0), ("2024-05-01", 1_000, 0, 1, 1)]
    {
        let row = format!(
            "v_sales_by_month WHERE month = '{month}' AND revenue_minor = {revenue} AND returns_minor = {returns} \
             AND orders = {orders} AND customers = {customers}"
        );
        assert_eq!(count(&row).await, 1, "{month}");
    }
    assert_eq!(count("v_sales_by_month").await, 3);
}
