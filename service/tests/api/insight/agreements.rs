//! The same number is the same everywhere: segments, key figures, sales and cohorts of random histories agree to the
//! cent, also after customers were merged and erased.

use tally_model::time::Time;
use tally_proto::v1::{self, Period};

use super::report_requests::sale;
use crate::support::{Tally, draw, on_both_stores, time, timestamp};

on_both_stores!(numbers_of_random_histories_agree);

const AS_OF: &str = "2024-03-17T05:30:17Z";
const SEGMENTATIONS: [&str; 6] =
    ["abc", "rfm", "rfm_cell", "life_cycle", "value_loyalty", "attribute:region"];
const KINDS: [&str; 10] = [
    "purchase",
    "purchase",
    "purchase",
    "purchase",
    "return",
    "cancel",
    "visit",
    "call",
    "complaint",
    "resolution",
];

async fn numbers_of_random_histories_agree(tally: Tally) {
    for seed in 1..=6 {
        let ids = store(&tally, seed).await;
        assert_agreement(&tally).await;
        tally.merge(&ids[0], &ids[1]).await.unwrap();
        tally.delete(&ids[2]).await.unwrap();
        assert_agreement(&tally).await;
        for id in &ids[3..] {
            tally.delete(id).await.unwrap();
        }
        tally.delete(&ids[1]).await.unwrap();
        assert_agreement(&tally).await;
    }
}

/// Stores a random business and returns the ids of its customers.
async fn store(tally: &Tally, seed: u64) -> Vec<String> {
    let (mut state, mut all) = (seed, Vec::new());
    let customers = 5 + draw(&mut state, 60);
    let start = time("2022-01-15");
    for n in 0..customers * 8 {
        // Those of other seeds were erased, and stay so.
        let customer = format!("{seed}c{}", draw(&mut state, customers));
        let kind = KINDS[draw(&mut state, KINDS.len() as u64) as usize];
        // Many at midnight, or at the same time as others.
        let step = [1, 86_400, 10 * 86_400][draw(&mut state, 3) as usize];
        let seconds = draw(&mut state, 880 * 86_400) / step * step;
        let occurred = Time(start.0 + seconds as i64 * 1_000_000).to_string();
        let amount = draw(&mut state, 5_000) as i64;
        all.push(sale(&customer, &format!("{seed}-{n}"), kind, &occurred, amount));
    }
    tally.backfill(all).await.unwrap();
    let ids = (0..customers).map(|n| format!("{seed}c{n}"));
    let known: Vec<v1::Customer> = ids
        .clone()
        .map(|id| v1::Customer {
            create_time: Some(timestamp(Time(start.0 + draw(&mut state, 900) as i64 * 86_400_000_000))),
            ..crate::support::customer(&id, "2024-01-01", &[])
        })
        .collect();
    tally.upsert(known).await.unwrap();
    ids.collect()
}

async fn kpis(tally: &Tally, from: &str, period: Period) -> Vec<v1::KpiRow> {
    let request = v1::GetKpisRequest {
        from_time: Some(timestamp(time(from))),
        to_time: Some(timestamp(Time(time(AS_OF).0 + 1))),
        period: period.into(),
        ..Default::default()
    };
    tally.insights().get_kpis(request).await.unwrap().into_inner().rows
}

/// The values of a metric, period by period.
fn values(rows: &[v1::KpiRow], metric: &str) -> Vec<i64> {
    let of_metric = rows.iter().filter(|row| row.metric == metric);
    of_metric.map(|row| row.value.unwrap() as i64).collect()
}

async fn assert_agreement(tally: &Tally) {
    tally.refresh_insights(AS_OF).await.unwrap();
    let year_before = Time(time(AS_OF).plus_days(-365).0 + 1).to_string();
    let year = kpis(tally, &year_before, Period::All).await;
    let of_year = |metric: &str| values(&year, metric)[0];
    for segmentation in SEGMENTATIONS {
        let segments = tally.segments(segmentation, None).await.segments;
        let sum = |number: fn(&v1::Segment) -> i64| segments.iter().map(number).sum::<i64>();
        assert_eq!(sum(|row| row.customers), of_year("customers_total"), "{segmentation}");
        assert_eq!(sum(|row| row.revenue_minor), of_year("revenue"), "{segmentation}");
        assert_eq!(sum(|row| row.returns_minor), of_year("returns"), "{segmentation}");
        assert_eq!(sum(|row| row.orders), of_year("orders"), "{segmentation}");
    }
    let stages = tally.sizes("life_cycle", None).await.into_iter();
    let current = stages.filter(|(stage, _)| !["lead", "lost"].contains(&stage.as_str()));
    assert_eq!(current.map(|(_, customers)| customers).sum::<i64>(), of_year("customers_current"));
    assert_months_agree(tally).await;
}

async fn assert_months_agree(tally: &Tally) {
    let from = "2022-01-01";
    let rows = kpis(tally, from, Period::Month).await;
    let range = (Some(timestamp(time(from))), Some(timestamp(Time(time(AS_OF).0 + 1))));
    let request = v1::GetSalesReportRequest { from_time: range.0, to_time: range.1, ..Default::default() };
    let totals = tally.sales(request).await.unwrap().period_totals;
    let sold = |number: fn(&v1::SalesRow) -> i64| totals.iter().map(number).collect::<Vec<_>>();
    assert_eq!(values(&rows, "revenue"), sold(|row| row.revenue_minor));
    assert_eq!(values(&rows, "returns"), sold(|row| row.returns_minor));
    assert_eq!(values(&rows, "orders"), sold(|row| row.orders));
    assert_eq!(values(&rows, "customers_active"), sold(|row| row.customers));

    let request = v1::GetCohortsRequest { from_time: range.0, to_time: range.1, ..Default::default() };
    let cohorts = tally.cohorts(request).await.unwrap();
    let cohort_sum = |number: fn(&v1::CohortRow) -> i64| -> Vec<i64> {
        let of_period = |total: &v1::SalesRow| {
            cohorts.iter().filter(|row| row.period_start == total.period_start).map(number).sum()
        };
        totals.iter().map(of_period).collect()
    };
    assert_eq!(cohort_sum(|row| row.revenue_minor), sold(|row| row.revenue_minor));
    assert_eq!(cohort_sum(|row| row.active), sold(|row| row.customers));
    let first = |row: &&v1::CohortRow| row.period_index == 0;
    let new: i64 = cohorts.iter().filter(first).map(|row| row.customers).sum();
    assert_eq!(new, values(&rows, "customers_new").iter().sum::<i64>());

    let [current, new, won_back, lost] =
        ["customers_current", "customers_new", "customers_won_back", "customers_lost"]
            .map(|metric| values(&rows, metric));
    let mut before = 0;
    for month in 0..current.len() {
        assert_eq!(current[month], before + new[month] + won_back[month] - lost[month], "month {month}");
        before = current[month];
    }
}
