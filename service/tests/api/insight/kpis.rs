//! Key figures of a small business that can be checked on paper, and of a simulated one.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use tally_model::{
    insight::{
        InsightSpec, Interval, KPI_METRICS, KpiCounter, KpiFigures, KpiMetric, KpiQuestion, KpiSpans, Period,
        Span, kpi_interval, report_periods,
    },
    time::Time,
};
use tally_proto::v1::{self, GetKpisRequest, GetKpisResponse, KpiRow};
use tonic::{Code, Status};

use crate::support::{
    Tally, assert_refused, business, customer, interaction, on_both_stores, time, timestamp,
};

on_both_stores!(
    every_figure_of_a_month_is_as_on_paper,
    a_month_is_compared_with_the_one_before_and_that_of_the_year_before,
    months_are_those_of_the_time_zone,
    weeks_begin_on_monday_and_partial_ones_are_compared_with_nothing,
    all_is_one_period_without_a_past,
    figures_of_a_simulated_business_are_those_of_its_histories,
    an_empty_database_has_zeros,
    merged_customers_count_once,
    late_and_retracted_interactions_count_as_known,
    rows_and_periods_have_limits,
    what_is_not_allowed_is_refused,
);

/// A request for months of a range.
fn months(from: &str, to: &str) -> GetKpisRequest {
    GetKpisRequest {
        from_time: Some(timestamp(time(from))),
        to_time: Some(timestamp(time(to))),
        ..Default::default()
    }
}

async fn kpis(tally: &Tally, request: GetKpisRequest) -> Result<GetKpisResponse, Status> {
    Ok(tally.insights().get_kpis(request).await?.into_inner())
}

/// The rows of one period by metric.
fn by_metric(rows: &[KpiRow], start: &str) -> HashMap<String, KpiRow> {
    let start = Some(timestamp(time(start)));
    let of_period = rows.iter().filter(|row| row.period_start == start);
    of_period.map(|row| (row.metric.clone(), row.clone())).collect()
}

/// The values of one metric by period.
fn values(response: &GetKpisResponse, metric: &str) -> Vec<Option<f64>> {
    response.rows.iter().filter(|row| row.metric == metric).map(|row| row.value).collect()
}

fn event(customer: &str, kind: &str, occurred: &str, amount: Option<i64>) -> v1::Interaction {
    v1::Interaction {
        amount_minor: amount,
        ..interaction(customer, &format!("{kind} {occurred}"), kind, occurred)
    }
}

/// Seven customers. Their own intervals are 20, 40 and 135 days, so that a typical one is 40 days, and who has bought
/// once is lost after 120 days.
async fn open_shop(tally: &Tally) {
    let created = [("c1", "2024-02-01"), ("c2", "2024-01-01"), ("c3", "2024-03-01"), ("c4", "2024-03-10")];
    let customers = created.map(|(id, time)| customer(id, time, &[]));
    tally.upsert(customers.to_vec()).await.unwrap();
    let mut survey = event("c1", "survey", "2024-03-12T10:00:00Z", None);
    survey.properties =
        [("score", "8"), ("expected", "10")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let interactions = vec![
        event("c1", "call", "2024-02-03T09:00:00Z", None),
        event("c1", "purchase", "2024-02-11T12:00:00Z", Some(1_000)),
        event("c1", "purchase", "2024-03-02T12:00:00Z", Some(3_000)),
        event("c1", "return", "2024-03-05T12:00:00Z", Some(500)),
        survey,
        event("c2", "purchase", "2024-02-09T12:00:00Z", Some(2_000)),
        event("c2", "purchase", "2024-03-20T12:00:00Z", Some(700)),
        event("c3", "purchase", "2024-03-04T00:00:00Z", Some(300)),
        event("c3", "complaint", "2024-03-06T00:00:00Z", None),
        event("c3", "email", "2024-03-06T06:00:00Z", None),
        event("c3", "complaint", "2024-03-07T00:00:00Z", None),
        event("c3", "resolution", "2024-03-09T00:00:00Z", None),
        event("c3", "cancel", "2024-03-15T00:00:00Z", None),
        event("c5", "visit", "2024-02-20T00:00:00Z", None),
        event("c5", "complaint", "2024-03-31T12:00:00Z", None),
        // Lost on 30 March.
        event("c6", "purchase", "2023-12-01T10:00:00Z", Some(5_000)),
        // Lost on 29 February.
        event("c7", "purchase", "2023-11-01T10:00:00Z", Some(100)),
        event("c7", "purchase", "2024-03-15T10:00:00Z", Some(900)),
        // After the range.
        event("c4", "purchase", "2024-06-01T10:00:00Z", Some(9_999)),
    ];
    tally.backfill(interactions).await.unwrap();
}

async fn every_figure_of_a_month_is_as_on_paper(tally: Tally) {
    open_shop(&tally).await;
    let request = GetKpisRequest { market_size: 30, ..months("2024-03-01", "2024-04-01") };
    let response = kpis(&tally, request).await.unwrap();
    assert_eq!(response.typical_interval_days, 40.0);
    assert!(response.known_time.is_some());
    let expected = [
        ("customers_total", 7.0, None),
        ("buyers", 5.0, None),
        ("buyers_once", 2.0, None),
        ("buyers_repeat", 3.0, None),
        ("never_bought", 2.0, None),
        ("never_contacted", 5.0, None),
        ("customers_active", 4.0, None),
        ("customers_new", 1.0, None),
        ("customers_lost", 2.0, None),
        ("customers_won_back", 1.0, None),
        ("customers_retained", 2.0, None),
        ("customers_current", 3.0, None),
        ("growth_rate", 0.0, Some((0.0, 3.0))),
        ("retention_rate", 1.0, Some((2.0, 2.0))),
        ("churn_rate", 1.0 / 3.0, Some((1.0, 3.0))),
        ("repurchase_rate", 0.75, Some((3.0, 4.0))),
        ("revenue", 4_900.0, None),
        ("returns", 500.0, None),
        ("net_revenue", 4_400.0, None),
        ("orders", 4.0, None),
        ("average_order_value", 1_225.0, Some((4_900.0, 4.0))),
        ("revenue_per_customer", 1_225.0, Some((4_900.0, 4.0))),
        ("revenue_share_top_20", 3_000.0 / 4_900.0, Some((3_000.0, 4_900.0))),
        ("return_rate", 500.0 / 4_900.0, Some((500.0, 4_900.0))),
        ("satisfaction_index", 0.8, Some((0.8, 1.0))),
        ("complaint_rate", 0.75, Some((3.0, 4.0))),
        ("complaints_open", 1.0, None),
        ("hours_to_first_answer", 27.0, Some((54.0, 2.0))),
        ("hours_to_resolution", 60.0, Some((120.0, 2.0))),
        ("answered_within_sla", 1.0 / 3.0, Some((1.0, 3.0))),
        ("lead_conversion_rate", 0.5, Some((1.0, 2.0))),
        ("days_to_conversion", 3.0, Some((3.0, 1.0))),
        ("market_share", 0.1, Some((3.0, 30.0))),
    ];
    assert_eq!(response.rows.len(), expected.len());
    for (row, (metric, value, quotient)) in response.rows.iter().zip(expected) {
        let found = (row.metric.as_str(), row.value, row.numerator.zip(row.denominator));
        assert_eq!(found, (metric, Some(value), quotient));
        assert!(!row.partial);
        assert_eq!(row.period_start, Some(timestamp(time("2024-03-01"))));
        assert_eq!(row.period_end, Some(timestamp(time("2024-04-01"))));
    }
    let defined = response.definitions.iter().map(|definition| definition.metric.as_str());
    assert!(defined.eq(expected.map(|(metric, ..)| metric)));
    let orders = response.definitions.iter().find(|definition| definition.metric == "orders").unwrap();
    assert_eq!(orders.definition, "Purchases in the period, with or without an amount.");
    assert_eq!(orders.unit, "orders");
}

async fn a_month_is_compared_with_the_one_before_and_that_of_the_year_before(tally: Tally) {
    open_shop(&tally).await;
    let response = kpis(&tally, months("2024-02-01", "2024-04-01")).await.unwrap();
    let (february, march) =
        (by_metric(&response.rows, "2024-02-01"), by_metric(&response.rows, "2024-03-01"));
    for (metric, value) in [
        ("customers_total", Some(5.0)),
        ("customers_active", Some(2.0)),
        ("customers_lost", Some(1.0)),
        ("customers_current", Some(3.0)),
        ("revenue", Some(3_000.0)),
        ("retention_rate", None),
        ("growth_rate", Some(0.5)),
        ("lead_conversion_rate", Some(0.5)),
        ("market_share", None),
    ] {
        assert_eq!(february[metric].value, value, "{metric}");
        assert_eq!(march[metric].previous_value, value, "{metric}");
    }
    // Nobody bought in January, which lies before the range.
    assert_eq!(february["revenue"].previous_value, Some(0.0));
    assert_eq!(february["average_order_value"].previous_value, None);
    assert_eq!(february["customers_current"].previous_value, Some(2.0));
    // And nobody existed a year before.
    assert_eq!(march["customers_total"].year_before_value, Some(0.0));
    assert_eq!(march["growth_rate"].year_before_value, None);
    // A report about a single month says the same of it.
    let single = kpis(&tally, months("2024-03-01", "2024-04-01")).await.unwrap();
    assert_eq!(single.rows, response.rows[KPI_METRICS.len()..]);
}

async fn months_are_those_of_the_time_zone(tally: Tally) {
    let bought =
        ["2024-03-01T04:59:59Z", "2024-03-01T05:00:00Z", "2024-04-01T03:59:59Z", "2024-04-01T04:00:00Z"];
    let purchase = |occurred: &str| event("c", "purchase", occurred, Some(1));
    tally.backfill(bought.map(purchase).to_vec()).await.unwrap();
    let request = |from: &str, to: &str, zone: &str| GetKpisRequest {
        metrics: vec!["orders".into(), "revenue".into(), "orders".into()],
        time_zone: zone.to_owned(),
        ..months(from, to)
    };
    let new_york = request("2024-02-01T05:00:00Z", "2024-05-01T04:00:00Z", "America/New_York");
    let response = kpis(&tally, new_york).await.unwrap();
    assert_eq!(values(&response, "orders"), [1.0, 2.0, 1.0].map(Some));
    assert_eq!(response.rows.len(), 6, "a metric that is named twice has one row");
    let starts: Vec<_> = response.rows.iter().step_by(2).map(|row| row.period_start).collect();
    let expected = ["2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"];
    assert_eq!(starts, expected.map(|start| Some(timestamp(time(start)))));
    // The order of the request.
    let names: Vec<&str> = response.rows.iter().take(2).map(|row| row.metric.as_str()).collect();
    assert_eq!(names, ["orders", "revenue"]);
    let response = kpis(&tally, request("2024-02-01", "2024-05-01", "")).await.unwrap();
    assert_eq!(values(&response, "orders"), [0.0, 2.0, 2.0].map(Some));
}

async fn weeks_begin_on_monday_and_partial_ones_are_compared_with_nothing(tally: Tally) {
    open_shop(&tally).await;
    // A Friday and a Tuesday.
    let request = GetKpisRequest {
        metrics: ["orders", "customers_retained", "retention_rate"].map(str::to_owned).to_vec(),
        period: v1::Period::Week.into(),
        ..months("2024-03-01", "2024-03-12")
    };
    let response = kpis(&tally, request).await.unwrap();
    let orders: Vec<&KpiRow> = response.rows.iter().filter(|row| row.metric == "orders").collect();
    let shown = |row: &&KpiRow| (row.partial, row.value.unwrap(), row.previous_value, row.year_before_value);
    assert_eq!(
        orders.iter().map(shown).collect::<Vec<_>>(),
        [(true, 1.0, None, None), (false, 1.0, Some(1.0), Some(0.0)), (true, 0.0, None, None)]
    );
    assert_eq!(orders[0].period_start, Some(timestamp(time("2024-03-01"))), "what is counted");
    assert_eq!(orders[0].period_end, Some(timestamp(time("2024-03-04"))));
    // Of the customers of the week before one was active, who was not again.
    let rates = response.rows.iter().filter(|row| row.metric == "retention_rate");
    let rates: Vec<_> = rates.map(|row| row.numerator.zip(row.denominator).unwrap()).collect();
    assert_eq!(rates, [(0.0, 0.0), (0.0, 1.0), (0.0, 1.0)]);
    assert_eq!(values(&response, "customers_retained"), [0.0; 3].map(Some));
}

async fn all_is_one_period_without_a_past(tally: Tally) {
    open_shop(&tally).await;
    let request = GetKpisRequest { period: v1::Period::All.into(), ..Default::default() };
    let response = kpis(&tally, request).await.unwrap();
    assert_eq!(response.rows.len(), KPI_METRICS.len());
    let rows = by_metric(&response.rows, "2023-11-01T10:00:00Z");
    assert_eq!(rows["revenue"].value, Some(22_999.0), "from the first purchase to now");
    for metric in ["customers_retained", "retention_rate"] {
        let row = &rows[metric];
        assert_eq!((row.value, row.numerator, row.denominator), (None, None, None), "{metric}");
    }
    assert!(
        response
            .rows
            .iter()
            .all(|row| { !row.partial && row.previous_value.is_none() && row.year_before_value.is_none() })
    );
    let [new, lost, won_back, current] =
        ["customers_new", "customers_lost", "customers_won_back", "customers_current"]
            .map(|metric| rows[metric].value.unwrap());
    assert_eq!((new, lost, won_back, current), (6.0, 7.0, 1.0, 0.0));
}

async fn figures_of_a_simulated_business_are_those_of_its_histories(tally: Tally) {
    let end = time("2024-06-01");
    let business = business(150, 5, end);
    tally.simulate(&business).await;
    let range = Span { start: time("2022-11-15"), end };
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let periods = report_periods(Period::Month, &zone, range, Time::MAX).unwrap();
    let histories: Vec<_> = business.iter().map(|customer| customer.history()).collect();
    let intervals = histories.iter().filter_map(|history| kpi_interval(history, end, Time::MAX));
    let question = KpiQuestion {
        spans: KpiSpans::new(&periods, Period::Month, &zone),
        before: end,
        known_at: Time::MAX,
        typical: Interval::median(intervals.collect()).unwrap(),
        spec: InsightSpec::default(),
        keep_revenues: true,
    };
    let mut counter = KpiCounter::new(&question);
    histories.iter().for_each(|history| counter.add(history));
    let figures = KpiFigures::new(&question.spans, counter.finish(), 0);
    let response = kpis(
        &tally,
        GetKpisRequest { time_zone: "Europe/Berlin".into(), ..months("2022-11-15", "2024-06-01") },
    );
    let response = response.await.unwrap();
    assert_eq!(response.typical_interval_days, question.typical.as_days());
    assert_eq!(response.rows.len(), periods.len() * KPI_METRICS.len());
    let metrics: Vec<&KpiMetric> = KPI_METRICS.iter().collect();
    for (rows, period) in response.rows.chunks(KPI_METRICS.len()).zip(&periods) {
        let of = |span: Span| figures.of(&metrics, span);
        let (own, previous) = (of(period.counted), period.previous.map(of));
        for (n, row) in rows.iter().enumerate() {
            let quotient = row.numerator.zip(row.denominator);
            assert_eq!((row.value, quotient), (own[n].value, own[n].quotient), "{} {period:?}", row.metric);
            let previous = previous.as_ref().and_then(|figures| figures[n].value);
            assert_eq!(row.previous_value, previous, "{} {period:?}", row.metric);
        }
    }
    let satisfied = values(&response, "satisfaction_index").into_iter().flatten();
    assert!(satisfied.filter(|value| *value > 0.0).count() > 5, "the business has surveys");
    // Figures that need no losses take another way to the typical interval.
    let request = GetKpisRequest { metrics: vec!["orders".into()], ..months("2022-11-15", "2024-06-01") };
    let orders = kpis(&tally, request).await.unwrap();
    assert_eq!(orders.typical_interval_days, response.typical_interval_days);
}

async fn an_empty_database_has_zeros(tally: Tally) {
    let response = kpis(&tally, months("2024-01-01", "2024-03-01")).await.unwrap();
    assert_eq!(response.rows.len(), 2 * KPI_METRICS.len());
    assert_eq!(response.typical_interval_days, 90.0);
    for row in &response.rows {
        let is_ratio = row.denominator.is_some() || row.metric == "market_share";
        assert_eq!(row.value, (!is_ratio).then_some(0.0), "{row:?}");
    }
    // From the first purchase on, of which there is none.
    let response = kpis(&tally, GetKpisRequest::default()).await.unwrap();
    assert!(response.rows.is_empty());
    assert_eq!(response.definitions.len(), KPI_METRICS.len());
    assert_eq!(response.typical_interval_days, 90.0);
}

async fn merged_customers_count_once(tally: Tally) {
    let purchase = |id: &str, occurred: &str| event(id, "purchase", occurred, Some(10));
    let bought = [purchase("a", "2024-02-05"), purchase("b", "2024-03-05"), purchase("b", "2024-03-25")];
    let stored = bought.map(|mut one| {
        one.interaction_id.push_str(&one.customer_id.clone());
        one
    });
    tally.backfill(stored.to_vec()).await.unwrap();
    let figures = async || {
        let response = kpis(&tally, months("2024-03-01", "2024-04-01")).await.unwrap();
        let rows = by_metric(&response.rows, "2024-03-01");
        let value = |metric: &str| rows[metric].value.unwrap();
        let counts =
            ["customers_total", "buyers", "customers_new", "customers_retained", "orders"].map(value);
        (counts, response.typical_interval_days)
    };
    assert_eq!(figures().await, ([2.0, 2.0, 1.0, 0.0, 2.0], 20.0));
    tally.merge("a", "b").await.unwrap();
    assert_eq!(figures().await, ([1.0, 1.0, 0.0, 1.0, 2.0], 24.5));
}

async fn late_and_retracted_interactions_count_as_known(tally: Tally) {
    let orders = async || {
        let response = kpis(&tally, months("2024-03-01", "2024-04-01")).await.unwrap();
        values(&response, "orders")[0].unwrap()
    };
    tally.record(vec![event("c", "purchase", "2024-03-05T10:00:00Z", Some(10))]).await;
    assert_eq!(orders().await, 1.0, "recorded only now");
    tally.retract(&[("c", "purchase 2024-03-05T10:00:00Z")]).await.unwrap();
    assert_eq!(orders().await, 0.0);
    tally.delete("c").await.unwrap();
    let response = kpis(&tally, months("2024-03-01", "2024-04-01")).await.unwrap();
    assert_eq!(values(&response, "customers_total"), [Some(0.0)]);
}

async fn rows_and_periods_have_limits(tally: Tally) {
    let days = |days: i64, metrics: &[&str]| {
        let from = time("2021-01-01");
        kpis(
            &tally,
            GetKpisRequest {
                metrics: metrics.iter().map(|metric| (*metric).to_owned()).collect(),
                from_time: Some(timestamp(from)),
                to_time: Some(timestamp(from.plus_days(days))),
                period: v1::Period::Day.into(),
                ..Default::default()
            },
        )
    };
    // 33 metrics in 606 periods are 19,998 rows.
    assert_eq!(days(606, &[]).await.unwrap().rows.len(), 19_998);
    let refused = days(607, &[]).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert!(
        message.contains("have 20031 rows, which are ") && message.contains("; allowed are 20000"),
        "{message}"
    );
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["metrics"]);
    assert_eq!(days(1_000, &["orders"]).await.unwrap().rows.len(), 1_000);
    assert_refused(days(1_001, &["orders"]).await, Code::InvalidArgument, "INVALID_REQUEST", &["from_time"]);
}

async fn what_is_not_allowed_is_refused(tally: Tally) {
    let refused = async |change: fn(&mut GetKpisRequest), fields: &[&str]| {
        let mut request = months("2024-01-01", "2024-03-01");
        change(&mut request);
        let result = kpis(&tally, request).await;
        let message = result.as_ref().unwrap_err().message().to_owned();
        assert_refused(result, Code::InvalidArgument, "INVALID_REQUEST", fields);
        message
    };
    let message = refused(|r| r.metrics = vec!["orders".into(), "profit".into()], &["metrics[1]"]).await;
    assert!(message.contains("allowed are customers_total, buyers,"), "{message}");
    assert!(message.contains("market_share"), "{message}");
    refused(|r| r.metrics = vec![String::new()], &["metrics[0]"]).await;
    refused(|r| r.market_size = -1, &["market_size"]).await;
    refused(|r| r.time_zone = "Mars/Olympus".into(), &["time_zone"]).await;
    refused(|r| r.period = 7, &["period"]).await;
    refused(|r| r.to_time = r.from_time, &["from_time"]).await;
    refused(|r| (r.market_size, r.period) = (-1, -1), &["period", "market_size"]).await;
}
