//! A small business whose figures can be checked on paper. A typical interval is 10 days, so that who has bought once
//! is lost 30 days after the midnight of that day.

use super::*;

/// Five customers in February and March 2024.
fn shop() -> Vec<History> {
    vec![
        // Bought in both months, and returned something.
        created(
            "2024-02-01",
            history(&[
                ("call", "2024-02-03T09:00:00Z", 0),
                ("purchase", "2024-02-11T12:00:00Z", 1_000),
                ("purchase", "2024-03-02T12:00:00Z", 3_000),
                ("return", "2024-03-05T12:00:00Z", 500),
            ]),
        ),
        // Lost on 10 March, 30 days after 9 February; came back on 20 March.
        created(
            "2024-01-01",
            history(&[
                ("purchase", "2024-02-09T12:00:00Z", 2_000),
                ("purchase", "2024-03-20T12:00:00Z", 700),
            ]),
        ),
        // New in March, and cancelled.
        created(
            "2024-03-01",
            history(&[
                ("purchase", "2024-03-04T00:00:00Z", 300),
                ("complaint", "2024-03-06T00:00:00Z", 0),
                ("email", "2024-03-06T06:00:00Z", 0),
                ("complaint", "2024-03-07T00:00:00Z", 0),
                ("resolution", "2024-03-09T00:00:00Z", 0),
                ("cancel", "2024-03-15T00:00:00Z", 0),
            ]),
        ),
        // A lead of March, without anything.
        created("2024-03-10", History::default()),
        // A lead of its first interaction, who complains on the last day of March.
        history(&[("visit", "2024-02-20T00:00:00Z", 0), ("complaint", "2024-03-31T12:00:00Z", 0)]),
    ]
}

const MARCH: (&str, &str) = ("2024-03-01", "2024-04-01");

fn march() -> Report {
    let report = Report::new(Period::Month, span(MARCH.0, MARCH.1));
    Report { market_size: 40, known_at: at("2024-04-20"), ..report }
}

fn values(report: &Report, span: Span) -> Vec<(&'static str, Option<f64>)> {
    report.with(&shop(), |figure| {
        KPI_METRICS.iter().map(|metric| (metric.name, figure(metric.name, span).value)).collect()
    })
}

#[test]
fn every_figure_of_a_month() {
    let found = values(&march(), span(MARCH.0, MARCH.1));
    let expected = [
        ("customers_total", 5.0),
        ("buyers", 3.0),
        ("buyers_once", 1.0),
        ("buyers_repeat", 2.0),
        ("never_bought", 2.0),
        ("never_contacted", 3.0),
        ("customers_active", 3.0),
        ("customers_new", 1.0),
        // By silence on the 10th and by cancel on the 15th. The first customer lasts 30 days of (20 + 10) / 2 × 3 from 2 March.
        ("customers_lost", 2.0),
        ("customers_won_back", 1.0),
        ("customers_retained", 2.0),
        ("customers_current", 2.0),
        ("growth_rate", 0.0),
        ("retention_rate", 1.0),
        ("churn_rate", 0.5),
        ("repurchase_rate", 2.0 / 3.0),
        ("revenue", 4_000.0),
        ("returns", 500.0),
        ("net_revenue", 3_500.0),
        ("orders", 3.0),
        ("average_order_value", 4_000.0 / 3.0),
        ("revenue_per_customer", 4_000.0 / 3.0),
        ("revenue_share_top_20", 0.75),
        ("return_rate", 0.125),
        ("satisfaction_index", f64::NAN),
        ("complaint_rate", 1.0),
        ("complaints_open", 1.0),
        // 6 hours by mail, 48 hours by the resolution.
        ("hours_to_first_answer", 27.0),
        ("hours_to_resolution", 60.0),
        // One of three; the hours of the last one end after the month.
        ("answered_within_sla", 1.0 / 3.0),
        // The 30 days of the lead of 10 March are over on 9 April.
        ("lead_conversion_rate", 0.5),
        ("days_to_conversion", 3.0),
        ("market_share", 0.05),
    ];
    assert_eq!(found.len(), expected.len());
    for ((name, found), (expected_name, expected)) in found.into_iter().zip(expected) {
        assert_eq!((name, found), (expected_name, Some(expected).filter(|value| !value.is_nan())));
    }
}

#[test]
fn quotients_show_what_was_divided_by_what() {
    march().with(&shop(), |figure| {
        let quotient = |name: &str| figure(name, span(MARCH.0, MARCH.1)).quotient;
        assert_eq!(quotient("churn_rate"), Some((1.0, 2.0)));
        assert_eq!(quotient("retention_rate"), Some((2.0, 2.0)));
        assert_eq!(quotient("growth_rate"), Some((0.0, 2.0)));
        assert_eq!(quotient("hours_to_first_answer"), Some((54.0, 2.0)));
        assert_eq!(quotient("satisfaction_index"), Some((0.0, 0.0)), "there is none");
        assert_eq!(quotient("market_share"), Some((2.0, 40.0)));
        assert_eq!(quotient("orders"), None);
    });
}

#[test]
fn the_month_before_is_compared_with_its_own_month_before() {
    let february = span("2024-02-01", "2024-03-01");
    march().with(&shop(), |figure| {
        let value = |name: &str| figure(name, february).value;
        assert_eq!(value("customers_active"), Some(2.0));
        assert_eq!(value("customers_retained"), Some(0.0));
        assert_eq!(value("retention_rate"), None, "nobody bought in January");
        assert_eq!(value("growth_rate"), None, "nobody was current");
        // Created on 1 February and on 1 January; only the first is a lead of February, beside the one of 20 February.
        assert_eq!(figure("lead_conversion_rate", february).quotient, Some((1.0, 2.0)));
        assert_eq!(value("days_to_conversion"), Some((10.5 + 39.5) / 2.0));
    });
}

#[test]
fn a_partial_period_is_compared_with_the_whole_one_before() {
    let report = Report::new(Period::Month, span("2024-02-10", "2024-03-05"));
    report.with(&shop(), |figure| {
        let (first, last) = (span("2024-02-10", "2024-03-01"), span("2024-03-01", "2024-03-05"));
        assert_eq!(figure("customers_active", first).value, Some(1.0));
        assert_eq!(figure("customers_retained", first).value, Some(0.0));
        // One of the two buyers of the whole of February bought again.
        assert_eq!(figure("retention_rate", last).quotient, Some((1.0, 2.0)));
    });
}

#[test]
fn all_is_compared_with_nothing() {
    let all = span("2024-02-01", "2024-04-01");
    Report::new(Period::All, all).with(&shop(), |figure| {
        assert_eq!(figure("customers_retained", all), Figure::UNDEFINED);
        assert_eq!(figure("retention_rate", all), Figure::UNDEFINED);
        assert_eq!(figure("market_share", all), Figure::UNDEFINED, "its size is unknown");
        assert_eq!(figure("revenue", all).value, Some(7_000.0));
        // The fifth of three customers who bring most is one: 4,000 of 7,000.
        assert_eq!(figure("revenue_share_top_20", all).quotient, Some((4_000.0, 7_000.0)));
        assert_eq!(figure("churn_rate", all).value, None);
    });
}

#[test]
fn nobody_is_no_error() {
    march().with(&[], |figure| {
        for metric in &KPI_METRICS {
            let found = figure(metric.name, span(MARCH.0, MARCH.1));
            // Only the market has a size.
            let defined = found.quotient.is_none_or(|(_, denominator)| denominator == 40.0);
            assert_eq!(found.value, defined.then_some(0.0), "{metric:?}");
        }
    });
}

#[test]
fn a_moment_at_the_end_belongs_to_the_next_period() {
    let days = Report::new(Period::Day, span("2024-03-01", "2024-03-04"));
    let history = history(&[("purchase", "2024-03-02T00:00:00Z", 5), ("call", "2024-03-03T00:00:00Z", 0)]);
    days.with(&[history], |figure| {
        let of_days = |name: &str| {
            days.periods().iter().map(|day| figure(name, day.counted).value.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of_days("customers_new"), [0.0, 1.0, 0.0]);
        assert_eq!(of_days("customers_total"), [0.0, 1.0, 1.0]);
        assert_eq!(of_days("customers_current"), [0.0, 1.0, 1.0]);
        assert_eq!(of_days("never_contacted"), [0.0, 1.0, 0.0]);
        assert_eq!(of_days("orders"), [0.0, 1.0, 0.0]);
        assert_eq!(of_days("buyers"), [0.0, 1.0, 1.0]);
    });
}

#[test]
fn only_what_happened_before_the_end_of_the_range_counts() {
    // Without the second purchase the customer is lost on 31 March.
    let bought = ["2024-03-01T10:00:00Z", "2024-03-31T10:00:00Z"];
    let history = history(&bought.map(|time| ("purchase", time, 5)));
    let lost = |to: &str| {
        let report = Report::new(Period::All, span("2024-03-01", to));
        report.with(std::slice::from_ref(&history), |figure| {
            figure("customers_lost", span("2024-03-01", to)).value.unwrap()
        })
    };
    assert_eq!(lost("2024-03-31"), 0.0, "the loss is not before the end");
    assert_eq!(lost("2024-03-31T00:00:00.000001Z"), 1.0, "nothing else is known");
    assert_eq!(lost("2024-03-31T10:00:00.000001Z"), 0.0, "the day began in time");
}

#[test]
fn the_hours_of_a_complaint_are_over_by_what_is_known() {
    let complaint = history(&[("complaint", "2024-03-10T00:00:00Z", 0), ("call", "2024-03-11T00:00:00Z", 0)]);
    let due = |to: &str, known_at: &str| {
        let report = Report::new(Period::All, span("2024-03-01", to));
        let report = Report { known_at: at(known_at), ..report };
        report.with(std::slice::from_ref(&complaint), |figure| {
            figure("answered_within_sla", span("2024-03-01", to)).quotient.unwrap()
        })
    };
    assert_eq!(due("2024-03-11", "2024-05-01"), (1.0, 1.0), "answered after exactly 24 hours");
    assert_eq!(due("2024-05-01", "2024-03-10T23:59:59.999999Z"), (0.0, 0.0));
    assert_eq!(due("2024-05-01", "2024-03-11"), (1.0, 1.0));
}

#[test]
fn what_answers_at_the_moment_of_a_complaint_answers_it() {
    let moment = "2024-03-10T00:00:00Z";
    let report = Report::new(Period::All, span("2024-03-01", "2024-04-01"));
    for order in [["complaint", "resolution"], ["resolution", "complaint"]] {
        let history = history(&order.map(|kind| (kind, moment, 0)));
        report.with(&[history], |figure| {
            assert_eq!(figure("complaints_open", report.range).value, Some(0.0));
            assert_eq!(figure("hours_to_resolution", report.range).quotient, Some((0.0, 1.0)));
            assert_eq!(figure("hours_to_first_answer", report.range).quotient, Some((0.0, 1.0)));
        });
    }
}

#[test]
fn a_lead_has_thirty_days_to_convert() {
    let lead = |purchase: &str| created("2024-03-01", history(&[("purchase", purchase, 1)]));
    let rate = |purchase: &str, known_at: &str| {
        let report = Report::new(Period::All, span("2024-03-01", "2024-03-10"));
        let report = Report { known_at: at(known_at), ..report };
        report
            .with(&[lead(purchase)], |figure| figure("lead_conversion_rate", report.range).quotient.unwrap())
    };
    // What happens after the range counts: it shows what became of the lead.
    assert_eq!(rate("2024-03-31T00:00:00Z", "2024-05-01"), (1.0, 1.0));
    assert_eq!(rate("2024-03-31T00:00:00.000001Z", "2024-05-01"), (0.0, 1.0));
    assert_eq!(rate("2024-03-05T00:00:00Z", "2024-03-30T23:59:59.999999Z"), (0.0, 0.0), "not over");
    assert_eq!(rate("2024-03-05T00:00:00Z", "2024-03-31"), (1.0, 1.0));
    assert_eq!(rate("2024-03-01T00:00:00Z", "2024-05-01"), (0.0, 0.0), "never a lead");
}

#[test]
fn who_is_lost_twice_in_a_period_churned_once() {
    let history = history(&[
        ("purchase", "2024-02-20T00:00:00Z", 1),
        ("cancel", "2024-03-05T00:00:00Z", 0),
        ("purchase", "2024-03-06T00:00:00Z", 1),
        ("cancel", "2024-03-07T00:00:00Z", 0),
    ]);
    march().with(&[history], |figure| {
        let value = |name: &str| figure(name, span(MARCH.0, MARCH.1)).value;
        assert_eq!(value("customers_lost"), Some(2.0));
        assert_eq!(value("churn_rate"), Some(1.0));
        assert_eq!(value("customers_current"), Some(0.0));
        assert_eq!(value("growth_rate"), Some(-1.0));
    });
}

#[test]
fn late_and_retracted_interactions_count_by_what_is_known() {
    let (happened, reported, retracted) = (at("2024-03-05"), at("2024-04-05"), at("2024-04-10"));
    let mut history = History::default();
    history.push("purchase", happened, reported, Some(100), None);
    history.push_retraction(retracted);
    let orders = |known_at: Time| {
        let report = Report { known_at, ..march() };
        report.with(std::slice::from_ref(&history), |figure| {
            let value = |name: &str| figure(name, span(MARCH.0, MARCH.1)).value.unwrap();
            (value("orders"), value("customers_total"))
        })
    };
    assert_eq!(orders(Time(reported.0 - 1)), (0.0, 0.0));
    assert_eq!(orders(reported), (1.0, 1.0));
    assert_eq!(orders(Time(retracted.0 - 1)), (1.0, 1.0));
    assert_eq!(orders(retracted), (0.0, 0.0));
}

#[test]
fn satisfaction_is_the_mean_of_score_by_expected_score() {
    let mut history = History::default();
    for (day, survey) in [("2024-03-02", (8.0, 10.0)), ("2024-03-03", (9.0, 6.0)), ("2024-04-01", (1.0, 9.0))]
    {
        history.push("survey", at(day), at(day), None, Some(survey));
    }
    march().with(&[history], |figure| {
        let found = figure("satisfaction_index", span(MARCH.0, MARCH.1));
        assert_eq!((found.value, found.quotient), (Some(1.15), Some((2.3, 2.0))));
    });
}

#[test]
fn the_interval_of_a_customer_is_that_of_its_purchase_days() {
    let bought =
        ["2024-03-01T01:00:00Z", "2024-03-01T23:00:00Z", "2024-03-07T12:00:00Z", "2024-03-11T12:00:00Z"];
    let history = history(&bought.map(|time| ("purchase", time, 1)));
    let interval = |before: &str| kpi_interval(&history, at(before), Time::MAX).map(Interval::as_days);
    assert_eq!(interval("2024-04-01"), Some(5.0));
    assert_eq!(interval("2024-03-11T12:00:00Z"), Some(6.0), "the last is not before it");
    assert_eq!(interval("2024-03-07"), None);
    assert_eq!(kpi_interval(&History::default(), Time::MAX, Time::MAX), None);
}
