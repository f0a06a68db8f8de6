//! GetCohorts: who bought again in the periods after the first purchase.

use tally_proto::v1::{self, Period};

use super::report_requests::{cohorts_of, sale};
use crate::support::{Tally, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    each_cohort_has_a_row_for_every_period_begun,
    who_first_bought_before_the_range_belongs_to_none_of_its_cohorts,
    the_first_purchase_is_that_of_any_merged_id,
    cohorts_follow_the_time_zone,
    all_time_is_one_cohort,
    nobody_makes_no_cohort,
);

/// The cohort, the index, customers, active, revenue and returns of each row.
type Row = (String, i32, i64, i64, i64, i64);

async fn rows(tally: &Tally, request: v1::GetCohortsRequest) -> Vec<Row> {
    let row = |row: v1::CohortRow| {
        assert_eq!(row.retention, Some(row.active as f64 / row.customers as f64));
        let cohort = tally_model::time::Time(row.cohort_start.unwrap().seconds * 1_000_000).to_string();
        let month = cohort.trim_end_matches("T00:00:00Z").to_owned();
        (month, row.period_index, row.customers, row.active, row.revenue_minor, row.returns_minor)
    };
    tally.cohorts(request).await.unwrap().into_iter().map(row).collect()
}

fn expected(rows: &[(&str, i32, i64, i64, i64, i64)]) -> Vec<Row> {
    rows.iter().map(|(cohort, a, b, c, d, e)| ((*cohort).to_owned(), *a, *b, *c, *d, *e)).collect()
}

/// Two customers of January, one of February, one of December, and one who never bought.
fn business() -> Vec<v1::Interaction> {
    vec![
        sale("a", "1", "purchase", "2024-01-05", 100),
        sale("a", "2", "purchase", "2024-01-20", 5),
        sale("a", "3", "purchase", "2024-02-05", 50),
        sale("a", "4", "purchase", "2024-04-05", 20),
        interaction("b", "1", "visit", "2023-11-05"),
        sale("b", "2", "purchase", "2024-01-31T23:59:59.999999Z", 10),
        sale("c", "1", "return", "2024-01-15", 3),
        sale("c", "2", "purchase", "2024-02-01", 30),
        sale("c", "3", "purchase", "2024-03-05", 40),
        sale("c", "4", "return", "2024-04-05", 5),
        sale("d", "1", "return", "2024-02-05", 7),
        sale("e", "1", "purchase", "2023-12-31T23:59:59.999999Z", 1),
        sale("e", "2", "purchase", "2024-02-05", 60),
    ]
}

async fn each_cohort_has_a_row_for_every_period_begun(tally: Tally) {
    tally.backfill(business()).await.unwrap();
    let request = cohorts_of("2024-01-01", "2024-04-20");
    assert_eq!(
        rows(&tally, request.clone()).await,
        expected(&[
            ("2024-01-01", 0, 2, 2, 115, 0),
            ("2024-01-01", 1, 2, 1, 50, 0),
            ("2024-01-01", 2, 2, 0, 0, 0),
            ("2024-01-01", 3, 2, 1, 20, 0),
            ("2024-02-01", 0, 1, 1, 30, 0),
            ("2024-02-01", 1, 1, 1, 40, 0),
            ("2024-02-01", 2, 1, 0, 0, 5),
        ])
    );
    let partial: Vec<_> = tally.cohorts(request).await.unwrap().iter().map(|row| row.partial).collect();
    assert_eq!(partial, [false, false, false, true, false, false, true]);
    let second = &tally.cohorts(cohorts_of("2024-01-01", "2024-03-01")).await.unwrap()[1];
    assert_eq!(second.period_start, Some(timestamp(time("2024-02-01"))));
    // Without a beginning, the first purchase of all is the beginning.
    let request = v1::GetCohortsRequest { from_time: None, ..cohorts_of("2024-01-01", "2024-02-01") };
    assert_eq!(
        rows(&tally, request).await,
        expected(&[
            ("2023-12-01", 0, 1, 1, 1, 0),
            ("2023-12-01", 1, 1, 0, 0, 0),
            ("2024-01-01", 0, 2, 2, 115, 0),
        ])
    );
}

async fn who_first_bought_before_the_range_belongs_to_none_of_its_cohorts(tally: Tally) {
    tally.backfill(business()).await.unwrap();
    // `a` bought in January, before the range.
    assert_eq!(
        rows(&tally, cohorts_of("2024-01-10", "2024-03-01")).await,
        expected(&[
            ("2024-01-10", 0, 1, 1, 10, 0),
            ("2024-01-10", 1, 1, 0, 0, 0),
            ("2024-02-01", 0, 1, 1, 30, 0),
        ])
    );
    // Who first buys after the range is in none of its cohorts yet.
    assert_eq!(rows(&tally, cohorts_of("2024-01-10", "2024-01-30")).await, []);
}

async fn the_first_purchase_is_that_of_any_merged_id(tally: Tally) {
    tally.backfill(business()).await.unwrap();
    tally.merge("c", "b").await.unwrap();
    tally.merge("b", "e").await.unwrap();
    tally.merge("d", "b").await.unwrap();
    assert_eq!(
        rows(&tally, cohorts_of("2023-12-01", "2024-03-01")).await,
        expected(&[
            ("2023-12-01", 0, 1, 1, 1, 0),
            ("2023-12-01", 1, 1, 1, 10, 3),
            ("2023-12-01", 2, 1, 1, 90, 7),
            ("2024-01-01", 0, 1, 1, 105, 0),
            ("2024-01-01", 1, 1, 1, 50, 0),
        ])
    );
}

async fn cohorts_follow_the_time_zone(tally: Tally) {
    tally.backfill(business()).await.unwrap();
    let request = v1::GetCohortsRequest {
        time_zone: "Asia/Tokyo".to_owned(),
        ..cohorts_of("2023-12-31T15:00:00Z", "2024-02-29T15:00:00Z")
    };
    // The last moments of a month in UTC are in the next month in Tokyo.
    let found = tally.cohorts(request).await.unwrap();
    let seen: Vec<_> = found.iter().map(|row| (row.period_index, row.customers, row.revenue_minor)).collect();
    assert_eq!(seen, [(0, 2, 106), (1, 2, 110), (0, 2, 40)]);
    assert_eq!(found[0].cohort_start, Some(timestamp(time("2023-12-31T15:00:00Z"))));
}

async fn all_time_is_one_cohort(tally: Tally) {
    tally.backfill(business()).await.unwrap();
    let request =
        |from| v1::GetCohortsRequest { period: Period::All.into(), ..cohorts_of(from, "2024-03-01") };
    assert_eq!(
        rows(&tally, request("1970-01-01")).await,
        expected(&[("1970-01-01", 0, 4, 4, 256, 3)]),
        "`d` never bought"
    );
    assert_eq!(rows(&tally, request("2024-01-01")).await, expected(&[("2024-01-01", 0, 3, 3, 195, 3)]));
}

async fn nobody_makes_no_cohort(tally: Tally) {
    assert_eq!(rows(&tally, v1::GetCohortsRequest::default()).await, []);
    assert_eq!(rows(&tally, cohorts_of("2024-01-01", "2024-03-01")).await, []);
    tally.backfill(vec![sale("d", "1", "return", "2024-02-05", 7)]).await.unwrap();
    assert_eq!(rows(&tally, cohorts_of("2024-01-01", "2024-03-01")).await, []);
}
