//! GetSalesReport: revenue, returns, orders and customers by period.

use tally_proto::v1::{self, Period};

use super::report_requests::{months, sale, with};
use crate::support::{Tally, on_both_stores, time, timestamp};

on_both_stores!(
    months_follow_the_time_zone_and_are_compared_with_those_before,
    a_partial_month_is_marked_and_compared_with_nothing,
    the_range_is_from_the_first_purchase_until_now_unless_said_otherwise,
    each_customer_counts_once_and_a_merged_one_as_its_survivor,
    values_without_rows_of_their_own_are_one_row,
    a_value_is_compared_with_itself,
    an_empty_database_has_an_empty_report,
);

/// The sums of a row.
fn sums(row: &v1::SalesRow) -> (i64, i64, i64, i64) {
    (row.revenue_minor, row.returns_minor, row.orders, row.customers)
}

fn growth(row: &v1::SalesRow) -> (Option<f64>, Option<f64>) {
    (row.growth_previous, row.growth_year_before)
}

async fn months_follow_the_time_zone_and_are_compared_with_those_before(tally: Tally) {
    let all = vec![
        // The last microsecond of February 2023 in New York, and the first moment of March.
        sale("a", "1", "purchase", "2023-03-01T04:59:59.999999Z", 900),
        sale("a", "2", "purchase", "2023-03-01T05:00:00Z", 200),
        // February 2024 is not in the range, but March is compared with it.
        sale("a", "3", "purchase", "2024-02-29T12:00:00Z", 300),
        sale("a", "4", "purchase", "2024-03-01T05:00:00Z", 100),
        sale("b", "5", "purchase", "2024-03-31T12:00:00Z", 50),
        sale("b", "6", "return", "2024-03-31T13:00:00Z", 30),
        sale("b", "7", "visit", "2024-03-31T13:00:00Z", 1),
        // In New York, where clocks went forward on 10 March, this is still March.
        sale("b", "8", "purchase", "2024-04-01T03:59:59Z", 150),
        sale("c", "9", "return", "2024-04-01T04:00:00Z", 40),
        // May has nothing. A purchase without an amount is an order of 0, as of June.
        v1::Interaction { amount_minor: None, ..sale("c", "10", "purchase", "2024-06-01T04:00:00Z", 0) },
        // The end of the range does not count.
        sale("c", "11", "purchase", "2024-07-01T04:00:00Z", 7),
    ];
    tally.backfill(all).await.unwrap();
    let request = v1::GetSalesReportRequest {
        time_zone: "America/New_York".to_owned(),
        ..months("2024-03-01T05:00:00Z", "2024-07-01T04:00:00Z", "")
    };
    let report = tally.sales(request).await.unwrap();

    let expected = [(300, 30, 3, 2), (0, 40, 0, 0), (0, 0, 0, 0), (0, 0, 1, 1)];
    assert_eq!(report.rows.iter().map(sums).collect::<Vec<_>>(), expected);
    let growths = [(Some(0.0), Some(0.5)), (Some(-1.0), None), (None, None), (None, None)];
    assert_eq!(report.rows.iter().map(growth).collect::<Vec<_>>(), growths);
    let starts =
        ["2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z", "2024-05-01T04:00:00Z", "2024-06-01T04:00:00Z"];
    let starts = starts.map(|start| Some(timestamp(time(start))));
    assert_eq!(report.rows.iter().map(|row| row.period_start).collect::<Vec<_>>(), starts);
    assert_eq!(report.rows[2].period_end, starts[3]);
    assert!(report.rows.iter().all(|row| !row.partial && !row.is_other && row.value.is_empty()));
    assert_eq!(report.period_totals, report.rows);
    let total = report.total.unwrap();
    assert_eq!((sums(&total), growth(&total)), ((300, 70, 4, 3), (None, None)));
    assert_eq!(
        (total.period_start, total.period_end),
        (starts[0], Some(timestamp(time("2024-07-01T04:00:00Z"))))
    );
    assert!(report.known_time.is_some());
}

async fn a_partial_month_is_marked_and_compared_with_nothing(tally: Tally) {
    let days = ["2024-01-05", "2024-01-20", "2024-02-05", "2024-03-05", "2024-03-20"];
    let all = days.iter().zip(1..).map(|(day, n)| sale("a", day, "purchase", day, 100 * n));
    tally.backfill(all.collect()).await.unwrap();
    let report = tally.sales(months("2024-01-10", "2024-03-10", "channel")).await.unwrap();

    let seen: Vec<_> =
        report.rows.iter().map(|row| (row.revenue_minor, row.partial, row.growth_previous)).collect();
    // February is compared with all of January, of which the range has a part.
    assert_eq!(seen, [(200, true, None), (300, false, Some(0.0)), (400, true, None)]);
    let starts: Vec<_> = report.rows.iter().map(|row| row.period_start.unwrap()).collect();
    assert_eq!(starts, ["2024-01-10", "2024-02-01", "2024-03-01"].map(|day| timestamp(time(day))));

    let all =
        v1::GetSalesReportRequest { period: Period::All.into(), ..months("2024-01-10", "2024-03-10", "") };
    let report = tally.sales(all).await.unwrap();
    let [row] = &report.rows[..] else { panic!("{:?}", report.rows) };
    assert_eq!((sums(row), row.partial, growth(row)), ((900, 0, 3, 1), false, (None, None)));
    assert_eq!(row.period_start, Some(timestamp(time("2024-01-10"))));
}

async fn the_range_is_from_the_first_purchase_until_now_unless_said_otherwise(tally: Tally) {
    let all = vec![
        sale("a", "1", "return", "2024-01-20", 5),
        sale("a", "2", "purchase", "2024-02-05", 100),
        sale("a", "3", "purchase", "2024-03-05", 50),
    ];
    tally.backfill(all).await.unwrap();
    let report = tally.sales(v1::GetSalesReportRequest::default()).await.unwrap();
    let first = &report.rows[0];
    assert_eq!((first.revenue_minor, first.partial), (100, false), "months are what is not said");
    assert_eq!(first.period_start, Some(timestamp(time("2024-02-01"))));
    assert_eq!(sums(report.total.as_ref().unwrap()), (150, 0, 2, 1));
    assert!(report.rows.last().unwrap().partial, "the month of now is not over");
    let to_time = Some(timestamp(time("2024-02-01")));
    let before = tally.sales(v1::GetSalesReportRequest { to_time, ..Default::default() }).await.unwrap();
    assert!(before.rows.is_empty(), "nothing was sold before the first purchase");
    assert_eq!(before.total.unwrap().period_start, to_time);
}

async fn each_customer_counts_once_and_a_merged_one_as_its_survivor(tally: Tally) {
    let ids = ["a", "b", "c", "d"];
    let of_each = |day: &'static str| ids.map(|id| sale(id, day, "purchase", day, 100)).to_vec();
    tally.backfill(of_each("2024-01-05")).await.unwrap();
    tally.backfill(of_each("2024-02-05")).await.unwrap();
    let customers = async || {
        let report = tally.sales(months("2024-01-01", "2024-03-01", "channel")).await.unwrap();
        assert_eq!(report.total.as_ref().unwrap().revenue_minor, 800);
        let rows = report.rows.iter().chain(&report.period_totals).chain(&report.total);
        rows.map(|row| row.customers).collect::<Vec<_>>()
    };
    assert_eq!(customers().await, [4; 5]);
    tally.merge("a", "b").await.unwrap();
    assert_eq!(customers().await, [3; 5]);
    // What was merged into `b` is `c` from now on, and so is what is merged into a merged id.
    tally.merge("b", "c").await.unwrap();
    assert_eq!(customers().await, [2; 5]);
    tally.merge("d", "a").await.unwrap();
    assert_eq!(customers().await, [1; 5]);
    let survivors = "SELECT count(*) FROM customers WHERE survivor_id = 'c' AND customer_id <> 'c'";
    assert_eq!(tally.database.sql(survivors).await, Some(3));

    tally.delete("b").await.unwrap();
    let report = tally.sales(months("2024-01-01", "2024-03-01", "channel")).await.unwrap();
    assert!(report.rows.is_empty(), "all of its ids are erased");
    // Once they are brought back, they are customers of their own.
    let again = ids.map(|id| v1::Customer { customer_id: id.to_owned(), ..Default::default() });
    assert_eq!(tally.recreate(again.to_vec()).await.unwrap(), 4);
    tally.backfill(of_each("2024-01-05")).await.unwrap();
    let report = tally.sales(months("2024-01-01", "2024-03-01", "")).await.unwrap();
    assert_eq!(report.total.unwrap().customers, 4);
}

async fn values_without_rows_of_their_own_are_one_row(tally: Tally) {
    let sold = [
        // By revenue of the whole range: b 90, then é, z and the missing one with 70, of which the missing one comes
        // first byte by byte, then z. In the order of most locales, é would come before z.
        ("1", "2024-01-02", "z", 30, "x"),
        ("2", "2024-02-02", "z", 40, "x"),
        ("3", "2024-01-03", "é", 70, "x"),
        ("4", "2024-01-04", "b", 90, "y"),
        ("5", "2024-01-05", "", 70, "y"),
        ("6", "2024-02-06", "low", 1, "x"),
        ("7", "2024-02-07", "lower", 2, "x"),
    ];
    let all = sold.map(|(id, day, value, amount, customer)| {
        with(sale(customer, id, "purchase", day, amount), "p", value)
    });
    tally.backfill(all.to_vec()).await.unwrap();
    tally.backfill(vec![with(sale("y", "8", "return", "2024-02-08", 5), "p", "back")]).await.unwrap();
    let ask = async |max_values| {
        let request =
            v1::GetSalesReportRequest { max_values, ..months("2024-01-01", "2024-03-01", "property:p") };
        let rows = tally.sales(request).await.unwrap().rows;
        let of = |row: v1::SalesRow| {
            (row.period_start.unwrap().seconds, row.value.clone(), row.is_other, sums(&row))
        };
        rows.into_iter().map(of).collect::<Vec<_>>()
    };
    let [january, february] = ["2024-01-01", "2024-02-01"].map(|day| timestamp(time(day)).seconds);
    let row = |start: i64, value: &str, sums| (start, value.to_owned(), false, sums);
    let other = |start, sums| (start, String::new(), true, sums);
    assert_eq!(
        ask(3).await,
        [
            row(january, "b", (90, 0, 1, 1)),
            row(january, "", (70, 0, 1, 1)),
            row(january, "z", (30, 0, 1, 1)),
            other(january, (70, 0, 1, 1)),
            row(february, "z", (40, 0, 1, 1)),
            // One customer bought two of the values.
            other(february, (3, 5, 2, 1)),
        ]
    );
    assert_eq!(
        ask(0).await,
        [
            row(january, "b", (90, 0, 1, 1)),
            row(january, "", (70, 0, 1, 1)),
            row(january, "é", (70, 0, 1, 1)),
            row(january, "z", (30, 0, 1, 1)),
            row(february, "z", (40, 0, 1, 1)),
            row(february, "lower", (2, 0, 1, 1)),
            row(february, "low", (1, 0, 1, 1)),
            row(february, "back", (0, 5, 0, 0)),
        ]
    );
}

async fn a_value_is_compared_with_itself(tally: Tally) {
    let sold = [
        ("1", "2023-02-02", "a", 10),
        ("2", "2023-02-03", "rest", 100),
        ("3", "2024-01-02", "a", 40),
        ("4", "2024-01-03", "b", 200),
        ("5", "2024-01-04", "rest 1", 30),
        ("6", "2024-02-02", "a", 60),
        ("7", "2024-02-03", "b", 50),
        ("8", "2024-02-04", "rest 2", 45),
    ];
    let all = sold.map(|(id, day, value, amount)| with(sale("x", id, "purchase", day, amount), "p", value));
    tally.backfill(all.to_vec()).await.unwrap();
    let request =
        v1::GetSalesReportRequest { max_values: 2, ..months("2024-02-01", "2024-03-01", "property:p") };
    let report = tally.sales(request).await.unwrap();
    let seen: Vec<_> =
        report.rows.iter().map(|row| (row.value.as_str(), row.revenue_minor, growth(row))).collect();
    // The other values are the same in all periods: those without rows of their own in this report.
    assert_eq!(
        seen,
        [
            ("a", 60, (Some(0.5), Some(5.0))),
            ("b", 50, (Some(-0.75), None)),
            ("", 45, (Some(0.5), Some(-0.55)))
        ]
    );
    assert_eq!(growth(&report.period_totals[0]), (Some(-115.0 / 270.0), Some(45.0 / 110.0)));
}

async fn an_empty_database_has_an_empty_report(tally: Tally) {
    for dimension in ["", "channel", "property:p", "attribute:a"] {
        let request = v1::GetSalesReportRequest { dimension: dimension.to_owned(), ..Default::default() };
        let report = tally.sales(request).await.unwrap();
        assert!(report.rows.is_empty() && report.period_totals.is_empty());
        assert_eq!(sums(&report.total.unwrap()), (0, 0, 0, 0));
        let report = tally.sales(months("2024-01-01", "2024-03-01", dimension)).await.unwrap();
        assert_eq!(report.rows.len(), if dimension.is_empty() { 2 } else { 0 });
        assert_eq!(report.period_totals.iter().map(sums).collect::<Vec<_>>(), [(0, 0, 0, 0); 2]);
        assert_eq!(sums(&report.total.unwrap()), (0, 0, 0, 0));
    }
}
