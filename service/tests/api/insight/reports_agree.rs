//! Reports of random histories agree with each other, and with sums made in the most obvious way.

use std::collections::{BTreeMap, BTreeSet};

use tally_model::time::Time;
use tally_proto::v1::{self, Period};

use super::report_requests::{cohorts_of, months, sale, with};
use crate::support::{Tally, draw, on_both_stores, time, timestamp};

on_both_stores!(reports_of_random_histories_agree);

const FROM: &str = "2022-03-17T05:30:00Z";
const TO: &str = "2024-02-11T13:00:00Z";

/// An interaction as the reference knows it.
struct Sale {
    /// The survivor of its customer.
    customer: String,
    kind: &'static str,
    time: Time,
    amount: i64,
    value: String,
}

/// Stores a random history: customers of whom some buy, some only return or visit, and some are merged in chains.
async fn store(tally: &Tally) -> Vec<Sale> {
    let (mut state, mut all, mut sales) = (7, Vec::new(), Vec::new());
    let start = time("2021-12-01");
    for n in 0..900 {
        let customer = draw(&mut state, 60);
        let kind = ["purchase", "purchase", "return", "visit"][draw(&mut state, 4) as usize];
        // The customers from 50 on never buy.
        let kind = if customer >= 50 && kind == "purchase" { "return" } else { kind };
        let time = Time(start.0 + draw(&mut state, 850 * 86_400) as i64 * 1_000_000);
        let (amount, value) =
            (draw(&mut state, 5_000) as i64, ["", "x", "y", "z", "Z"][draw(&mut state, 5) as usize]);
        let item = sale(&format!("c{customer}"), &n.to_string(), kind, &time.to_string(), amount);
        all.push(with(item, "p", value));
        // Every third one of the first thirty is merged into the next, which is merged into the next but one.
        let survivor = if customer < 30 { customer / 3 * 3 + 2 } else { customer };
        sales.push(Sale { customer: format!("c{survivor}"), kind, time, amount, value: value.to_owned() });
    }
    tally.backfill(all).await.unwrap();
    for first in (0..30).step_by(3) {
        tally.merge(&format!("c{first}"), &format!("c{}", first + 1)).await.unwrap();
        tally.merge(&format!("c{}", first + 1), &format!("c{}", first + 2)).await.unwrap();
    }
    sales
}

/// The moments of a row that the range has.
fn counted(row: &v1::SalesRow) -> (Time, Time) {
    let at = |stamp: &Option<prost_types::Timestamp>| Time(stamp.unwrap().seconds * 1_000_000);
    (at(&row.period_start).max(time(FROM)), at(&row.period_end).min(time(TO)))
}

/// Revenue, returns, orders and customers.
type Sums = (i64, i64, i64, i64);

fn sums<'a>(sales: impl Iterator<Item = &'a Sale>) -> Sums {
    let (mut sums, mut customers) = ((0, 0, 0, 0), BTreeSet::new());
    for sale in sales {
        match sale.kind {
            "purchase" => {
                sums.0 += sale.amount;
                sums.2 += 1;
                customers.insert(&sale.customer);
            }
            "return" => sums.1 += sale.amount,
            _ => {}
        }
    }
    sums.3 = customers.len() as i64;
    sums
}

const fn of_row(row: &v1::SalesRow) -> Sums {
    (row.revenue_minor, row.returns_minor, row.orders, row.customers)
}

/// The two values of the greatest revenue within the range.
fn listed(sales: &[Sale]) -> Vec<String> {
    let mut by_value: BTreeMap<&str, i64> = BTreeMap::new();
    for sale in sales.iter().filter(|sale| (time(FROM)..time(TO)).contains(&sale.time)) {
        *by_value.entry(&sale.value).or_default() += if sale.kind == "purchase" { sale.amount } else { 0 };
    }
    let mut values: Vec<_> = by_value.into_iter().collect();
    values.sort_by_key(|(value, revenue)| (-revenue, *value));
    values.into_iter().take(2).map(|(value, _)| value.to_owned()).collect()
}

fn assert_right(report: &v1::GetSalesReportResponse, sales: &[Sale], listed: &[String]) {
    for row in report.rows.iter().chain(&report.period_totals).chain(&report.total) {
        let (start, end) = counted(row);
        let is_total = report.period_totals.contains(row) || report.total.as_ref() == Some(row);
        let has_value = |sale: &&Sale| match row.is_other {
            _ if is_total => true,
            true => !listed.contains(&sale.value),
            false => sale.value == row.value,
        };
        let expected = sums(sales.iter().filter(|sale| (start..end).contains(&sale.time)).filter(has_value));
        assert_eq!(of_row(row), expected, "{row:?}");
    }
    for pair in report.period_totals.windows(2) {
        let (then, now) = (&pair[0], &pair[1]);
        let comparable = !then.partial && !now.partial && then.revenue_minor > 0;
        let growth = (now.revenue_minor - then.revenue_minor) as f64 / then.revenue_minor as f64;
        if comparable {
            assert_eq!(now.growth_previous, Some(growth), "{now:?}");
        }
    }
    let add = |rows: &[v1::SalesRow]| {
        rows.iter()
            .fold((0, 0, 0), |(a, b, c), row| (a + row.revenue_minor, b + row.returns_minor, c + row.orders))
    };
    let total = report.total.as_ref().unwrap();
    let total = (total.revenue_minor, total.returns_minor, total.orders);
    assert_eq!((add(&report.rows), add(&report.period_totals)), (total, total));
}

/// The cohort table in the most obvious way: by the start of the cohort and of the period customers, active, revenue
/// and returns. Periods are those of a sales report without a dimension.
fn cohorts(sales: &[Sale], periods: &[v1::SalesRow]) -> Vec<(i64, i64, i64, i64, i64, i64)> {
    let mut first: BTreeMap<&str, Time> = BTreeMap::new();
    for sale in sales.iter().filter(|sale| sale.kind == "purchase" && sale.time < time(TO)) {
        let time = first.entry(&sale.customer).or_insert(sale.time);
        *time = sale.time.min(*time);
    }
    let mut rows = Vec::new();
    for (n, cohort) in periods.iter().enumerate() {
        let start = cohort.period_start.unwrap().seconds;
        let bounds = start * 1_000_000..cohort.period_end.unwrap().seconds * 1_000_000;
        let of_cohort = |customer: &str| first.get(customer).is_some_and(|time| bounds.contains(&time.0));
        let customers = first.keys().filter(|customer| of_cohort(customer)).count() as i64;
        for period in periods[n..].iter().filter(|_| customers > 0) {
            let (from, to) = counted(period);
            let of_period = sales.iter().filter(|sale| (from..to).contains(&sale.time));
            let (revenue, returns, _, active) = sums(of_period.filter(|sale| of_cohort(&sale.customer)));
            rows.push((start, period.period_start.unwrap().seconds, customers, active, revenue, returns));
        }
    }
    rows
}

async fn reports_of_random_histories_agree(tally: Tally) {
    let sales = store(&tally).await;
    let listed = listed(&sales);
    for zone in ["", "Asia/Kathmandu", "America/New_York"] {
        for period in [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year, Period::All] {
            let request = |dimension| v1::GetSalesReportRequest {
                period: period.into(),
                time_zone: zone.to_owned(),
                max_values: 2,
                ..months(FROM, TO, dimension)
            };
            let by_period = tally.sales(request("")).await.unwrap();
            assert_right(&by_period, &sales, &[]);
            let by_value = tally.sales(request("property:p")).await.unwrap();
            assert_right(&by_value, &sales, &listed);
            assert_eq!(by_value.period_totals, by_period.period_totals);
            assert_eq!(by_value.total, by_period.total);
            if period == Period::Day {
                continue;
            }
            let request = v1::GetCohortsRequest {
                period: period.into(),
                time_zone: zone.to_owned(),
                ..cohorts_of(FROM, TO)
            };
            let rows = tally.cohorts(request.clone()).await.unwrap();
            let seen: Vec<_> = rows
                .iter()
                .map(|row| {
                    let [start, period] =
                        [row.cohort_start, row.period_start].map(|time| time.unwrap().seconds);
                    (start, period, row.customers, row.active, row.revenue_minor, row.returns_minor)
                })
                .collect();
            assert_eq!(seen, cohorts(&sales, &by_period.rows), "{period:?} {zone}");
        }
    }
    assert_revenue_of_cohorts_is_that_of_sales(&tally).await;
}

/// From before the first purchase, every purchase is one of a cohort.
async fn assert_revenue_of_cohorts_is_that_of_sales(tally: &Tally) {
    let from = Some(timestamp(time("2021-12-01")));
    let sales = v1::GetSalesReportRequest { from_time: from, ..months(FROM, TO, "") };
    let cohorts = v1::GetCohortsRequest { from_time: from, ..cohorts_of(FROM, TO) };
    let mut revenue: BTreeMap<i64, i64> = BTreeMap::new();
    for row in tally.cohorts(cohorts).await.unwrap() {
        *revenue.entry(row.period_start.unwrap().seconds).or_default() += row.revenue_minor;
    }
    let report = tally.sales(sales).await.unwrap();
    let expected: Vec<_> =
        report.rows.iter().map(|row| (row.period_start.unwrap().seconds, row.revenue_minor)).collect();
    assert!(expected.iter().all(|(_, revenue)| *revenue > 0));
    assert_eq!(revenue.into_iter().collect::<Vec<_>>(), expected);
}
