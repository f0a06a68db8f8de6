//! What holds for all figures, on random histories.

use proptest::prelude::*;

use super::*;
use crate::time::DAY;

const HOUR: i64 = DAY / 24;
const KINDS: [&str; 9] =
    ["purchase", "purchase", "purchase", "return", "cancel", "complaint", "resolution", "call", "visit"];

/// The first day of the random histories.
fn first() -> Time {
    at("2024-01-29")
}

/// Hour, kind, a small number that amounts and scores are made of, and a flag.
type RandomEvent = (i64, usize, i64, bool);

/// Histories of up to 20 interactions in 130 days. Times are whole hours, often midnights, so that many meet.
fn histories() -> impl Strategy<Value = Vec<History>> {
    let event = (0..130 * 24_i64, 0..KINDS.len() + 1, 0..4_i64, any::<bool>());
    let created = prop::option::of(0..130 * 24_i64);
    let customer = (prop::collection::vec(event, 0..20), created);
    let build = |(mut events, created): (Vec<RandomEvent>, Option<i64>)| {
        events.iter_mut().filter(|(hour, ..)| hour % 4 > 0).for_each(|event| event.0 = event.0 / 24 * 24);
        events.sort_unstable();
        let mut history = History::default();
        for (hour, kind, number, flag) in events {
            let time = Time(first().0 + hour * HOUR);
            // Some become known late, some are retracted.
            let record_time = if number == 3 && flag { time.plus_days(60) } else { time };
            let kind = KINDS.get(kind).copied().unwrap_or("survey");
            let amount = (number > 0 && kind != "visit").then_some(100 * number + hour);
            let survey = (kind == "survey").then_some((number as f64 + 0.7, 1.3));
            history.push(kind, time, record_time, amount, survey);
            if number == 2 && flag && hour % 5 == 0 {
                history.push_retraction(time.plus_days(50));
            }
        }
        if let Some(hour) = created {
            let create_time = Time(first().0 + hour * HOUR);
            let record_time = if hour % 7 == 0 { create_time.plus_days(90) } else { create_time };
            history.push_version(Version {
                effective_time: create_time,
                record_time,
                create_time,
                attributes: Default::default(),
            });
        }
        history
    };
    prop::collection::vec(customer.prop_map(build), 0..12)
}

/// Random histories and a report over them.
pub(super) fn business() -> impl Strategy<Value = (Vec<History>, Report)> {
    let period =
        prop::sample::select(vec![Period::Day, Period::Week, Period::Month, Period::Quarter, Period::All]);
    let zone = prop::sample::select(vec!["", "America/New_York", "Asia/Kolkata"]);
    let hours = (0..150 * 24_i64, 1..60 * 24_i64, 0..60 * 24_i64, any::<bool>());
    (histories(), period, zone, hours).prop_map(|(histories, period, zone, (from, length, later, whole))| {
        let whole = |hour: i64| if whole { hour / 24 * 24 } else { hour };
        let (from, to) = (whole(from), whole(from) + whole(length).max(1));
        let moment = |hour: i64| Time(first().0 + hour * HOUR);
        let report = Report {
            zone: crate::insight::time_zone(zone).unwrap(),
            known_at: moment(to + later - 20 * 24),
            market_size: 7,
            ..Report::new(period, Span { start: moment(from), end: moment(to) })
        };
        (histories, report)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn current_customers_are_those_before_and_what_changed((histories, report) in business()) {
        report.with(&histories, |figure| {
            let periods = report.periods();
            let value = |name: &str, span: Span| figure(name, span).value.unwrap();
            let mut last: Option<f64> = None;
            for period in &periods {
                let span = period.counted;
                let end = value("customers_current", span);
                let change = value("customers_new", span) + value("customers_won_back", span)
                    - value("customers_lost", span);
                let (growth, at_start) = figure("growth_rate", span).quotient.unwrap();
                prop_assert_eq!(end, at_start + change);
                prop_assert_eq!(growth, change);
                // Periods follow each other without a gap.
                prop_assert!(last.is_none_or(|last| last == at_start));
                last = Some(end);
                prop_assert!(value("buyers", span) >= end);
                prop_assert_eq!(value("customers_total", span), value("buyers", span) + value("never_bought", span));
            }
            Ok(())
        })?;
    }

    #[test]
    fn periods_add_up_to_the_whole_range((histories, report) in business()) {
        const SUMS: [&str; 8] = [
            "customers_new", "customers_lost", "customers_won_back", "revenue", "returns", "net_revenue", "orders",
            "complaint_rate",
        ];
        let number = |figure: Figure| match figure.quotient {
            Some((numerator, _)) => numerator,
            None => figure.value.unwrap(),
        };
        let parts: Vec<f64> = report.with(&histories, |figure| {
            let sum = |name: &str| report.periods().iter().map(|period| number(figure(name, period.counted))).sum();
            SUMS.iter().map(|name| sum(name)).collect()
        });
        let whole = Report { period: Period::All, zone: report.zone.clone(), ..report };
        let sums: Vec<f64> =
            whole.with(&histories, |figure| SUMS.iter().map(|name| number(figure(name, whole.range))).collect());
        prop_assert_eq!(parts, sums);
    }

    #[test]
    fn the_order_of_customers_changes_nothing((histories, report) in business()) {
        let all = |histories: &[History]| report.with(histories, |figure| {
            let periods = report.periods();
            let of = |period: &ReportPeriod| KPI_METRICS.iter().map(|metric| figure(metric.name, period.counted)).collect();
            periods.iter().map(of).collect::<Vec<Vec<Figure>>>()
        });
        let mut reversed = histories.clone();
        reversed.reverse();
        prop_assert_eq!(all(&histories), all(&reversed));
    }
}
