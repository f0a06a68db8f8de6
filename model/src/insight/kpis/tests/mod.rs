//! The key figures by hand, by their properties, and against a reference that computes each in the most obvious way.

mod by_hand;
mod properties;
mod reference;

use jiff::tz::TimeZone;

use super::*;
use crate::{
    history::{History, Version},
    insight::{InsightSpec, Interval, Period, ReportPeriod, Span, report_periods},
    time::Time,
};

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn span(start: &str, end: &str) -> Span {
    Span { start: at(start), end: at(end) }
}

/// A report over some histories.
#[derive(Debug)]
struct Report {
    period: Period,
    zone: TimeZone,
    range: Span,
    known_at: Time,
    typical: Interval,
    market_size: i64,
}

impl Report {
    fn new(period: Period, range: Span) -> Self {
        Self {
            period,
            zone: TimeZone::UTC,
            range,
            known_at: Time::MAX,
            typical: Interval::days(10.0),
            market_size: 0,
        }
    }

    fn periods(&self) -> Vec<ReportPeriod> {
        report_periods(self.period, &self.zone, self.range, self.known_at).unwrap()
    }

    fn question(&self) -> KpiQuestion {
        KpiQuestion {
            spans: KpiSpans::new(&self.periods(), self.period, &self.zone),
            before: self.range.end,
            known_at: self.known_at,
            typical: self.typical,
            spec: InsightSpec::default(),
            keep_revenues: true,
        }
    }

    /// Calls `f` with a function that returns a figure of a span.
    fn with<T>(&self, histories: &[History], f: impl FnOnce(&dyn Fn(&str, Span) -> Figure) -> T) -> T {
        let question = self.question();
        let mut counts = KpiCounts::new(&question.spans);
        // As on several cores.
        for part in histories.chunks(3) {
            let mut counter = KpiCounter::new(&question);
            part.iter().for_each(|history| counter.add(history));
            counts.merge(counter.finish());
        }
        let figures = KpiFigures::new(&question.spans, counts, self.market_size);
        f(&|name, span| figures.of(&[metric(name)], span)[0])
    }
}

/// The metric of this name.
fn metric(name: &str) -> &'static KpiMetric {
    KPI_METRICS.iter().find(|metric| metric.name == name).unwrap()
}

/// A history of interactions `(kind, time, amount)` that are known at once.
fn history(events: &[(&str, &str, i64)]) -> History {
    let mut history = History::default();
    for (kind, time, amount) in events {
        let time = at(time);
        history.push(kind, time, time, (*amount > 0).then_some(*amount), None);
    }
    history
}

/// The same with a record that says when the customer was created.
fn created(time: &str, mut history: History) -> History {
    let create_time = at(time);
    history.push_version(Version {
        effective_time: create_time,
        record_time: create_time,
        create_time,
        attributes: Default::default(),
    });
    history
}
