//! Each figure in the most obvious way: from lists of what happened, one customer and one period at a time.

use proptest::prelude::*;

use super::{properties::business, *};
use crate::{
    history::kind,
    time::{DAY, Time},
};

const HOUR: i64 = DAY / 24;

/// What counts of one customer, in plain lists.
struct Known {
    created: Option<Time>,
    /// `(kind, time, amount)` of what happened before the end of the range.
    events: Vec<(String, Time, i64)>,
    /// The times of contacts and resolutions, also after it.
    answers: Vec<Time>,
    /// Also after it.
    first_purchase: Option<Time>,
    surveys: Vec<(Time, f64)>,
    /// The times at which the relation begins and ends; None if it has not ended before the end of the range.
    relations: Vec<(Time, Option<Time>)>,
}

impl Known {
    fn new(history: &History, report: &Report) -> Self {
        let (before, known_at) = (report.range.end, report.known_at);
        let all: Vec<(String, Time, i64)> = history
            .events()
            .filter(|event| event.is_known(known_at))
            .map(|event| {
                let kind = history.kinds()[event.kind as usize].clone();
                (kind, event.occur_time, event.amount_minor.unwrap_or(0))
            })
            .collect();
        let seen = all.iter().filter(|(_, time, _)| *time < before || *time <= known_at);
        let first_purchase = seen.clone().find(|(kind, ..)| kind == kind::PURCHASE).map(|(_, time, _)| *time);
        let created = history
            .versions()
            .iter()
            .filter(|version| version.record_time <= known_at)
            .map(|version| version.create_time)
            .chain(seen.clone().map(|(_, time, _)| *time))
            .min()
            .filter(|created| *created < before);
        let surveys = history.surveys().iter().filter_map(|survey| {
            let event = history.events().nth(survey.event as usize)?;
            let counts = event.occur_time < before && event.is_known(known_at);
            counts.then_some((event.occur_time, survey.satisfaction))
        });
        let events: Vec<_> = all.iter().filter(|(_, time, _)| *time < before).cloned().collect();
        let relations = relations(&events, before);
        let answers =
            seen.filter(|(kind, ..)| ANSWERS.contains(&kind.as_str())).map(|(_, time, _)| *time).collect();
        Self { answers, created, first_purchase, surveys: surveys.collect(), events, relations }
    }

    fn times(&self, kinds: &[&str]) -> Vec<Time> {
        let of_kind = self.events.iter().filter(|(kind, ..)| kinds.contains(&kind.as_str()));
        of_kind.map(|(_, time, _)| *time).collect()
    }

    fn sum(&self, kind: &str, span: Span) -> i64 {
        let of_kind = self.events.iter().filter(|(own, time, _)| own == kind && holds(span, *time));
        of_kind.map(|(.., amount)| amount).sum()
    }

    fn bought_in(&self, span: Span) -> usize {
        self.times(&["purchase"]).into_iter().filter(|time| holds(span, *time)).count()
    }

    fn bought_before(&self, moment: Time) -> usize {
        self.times(&["purchase"]).into_iter().filter(|time| *time < moment).count()
    }

    /// Whether the relation stands at a moment, by what happened before it.
    fn is_current(&self, moment: Time) -> bool {
        let stands =
            |(begin, end): &(Time, Option<Time>)| *begin < moment && end.is_none_or(|end| end >= moment);
        self.relations.iter().any(stands)
    }

    fn losses(&self) -> impl Iterator<Item = Time> {
        self.relations.iter().filter_map(|(_, end)| *end)
    }

    /// The complaints with the time of what ended each.
    fn complaints(&self, ended_by: &[&str]) -> Vec<(Time, Option<Time>)> {
        let ends = self.times(ended_by);
        let end = |complaint: Time| ends.iter().copied().find(|end| *end >= complaint);
        self.times(&["complaint"]).into_iter().map(|time| (time, end(time))).collect()
    }
}

const ANSWERS: [&str; 6] = ["call", "email", "meeting", "message", "letter", "resolution"];

fn holds(span: Span, moment: Time) -> bool {
    span.start <= moment && moment < span.end
}

/// The relations of a customer with a typical interval of 10 days.
fn relations(events: &[(String, Time, i64)], before: Time) -> Vec<(Time, Option<Time>)> {
    let times = |kind: &str| -> Vec<Time> {
        events.iter().filter(|(own, ..)| own == kind).map(|(_, time, _)| *time).collect()
    };
    let (mut bought, cancelled) = (times("purchase"), times("cancel"));
    bought.dedup();
    let mut relations: Vec<(Time, Option<Time>)> = Vec::new();
    for (n, purchase) in bought.iter().enumerate() {
        if relations.last().is_none_or(|(_, end)| end.is_some()) {
            relations.push((*purchase, None));
        }
        let mut days: Vec<i64> = bought[..=n].iter().map(|time| time.day_number()).collect();
        days.dedup();
        let (count, last) = (days.len() as i64, purchase.day_number());
        // Three times (last − first + 10) / count days.
        let silence = (3 * DAY * (last - days[0] + 10) + count - 1) / count;
        let silent = Time(last * DAY + silence);
        let next = bought.get(n + 1).copied();
        let silent = Some(silent).filter(|silent| next.is_none_or(|next| next.day_number() * DAY > silent.0));
        let cancel =
            cancelled.iter().copied().find(|time| time > purchase && next.is_none_or(|next| *time < next));
        let end = silent.into_iter().chain(cancel).min().filter(|end| *end < before);
        if let Some(relation) = relations.last_mut() {
            relation.1 = end;
        }
    }
    relations
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn ratio(a: usize, b: usize) -> Option<f64> {
    (b > 0).then(|| a as f64 / b as f64)
}

/// The value of a figure.
fn value(all: &[Known], name: &str, span: Span, before: Option<Span>, report: &Report) -> Option<f64> {
    let (start, end) = (span.start, span.end);
    let count = |holds: &dyn Fn(&Known) -> bool| all.iter().filter(|known| holds(known)).count();
    let number = |holds: &dyn Fn(&Known) -> bool| Some(count(holds) as f64);
    let total = |of: &dyn Fn(&Known) -> i64| all.iter().map(of).sum::<i64>() as f64;
    let exists = |known: &Known| known.created.is_some_and(|created| created < end);
    let active = |known: &Known| known.bought_in(span) > 0;
    let active_before = |known: &Known| before.is_some_and(|before| known.bought_in(before) > 0);
    let lost = |known: &Known| known.losses().filter(|time| holds(span, *time)).count();
    let revenue = total(&|known| known.sum("purchase", span));
    let returns = total(&|known| known.sum("return", span));
    let orders: usize = all.iter().map(|known| known.bought_in(span)).sum();
    let by = |part: f64, whole: f64| (whole != 0.0).then(|| part / whole);
    let hours = |ended_by: &[&str]| {
        let ended = all.iter().flat_map(|known| known.complaints(ended_by));
        let ended =
            ended.filter_map(|(complaint, end)| Some((complaint, end.filter(|end| holds(span, *end))?)));
        mean(&ended.map(|(complaint, end)| (end.0 - complaint.0) as f64 / HOUR as f64).collect::<Vec<_>>())
    };
    let converted = |known: &Known| {
        let (created, purchase) = (known.created?, known.first_purchase?);
        (created < purchase).then_some((created, purchase))
    };
    let current_change = || {
        let (first, last) = (count(&|known| known.is_current(start)), count(&|known| known.is_current(end)));
        by(last as f64 - first as f64, first as f64)
    };
    match name {
        "customers_total" => number(&exists),
        "buyers" => number(&|known| known.bought_before(end) > 0),
        "buyers_once" => number(&|known| known.bought_before(end) == 1),
        "buyers_repeat" => number(&|known| known.bought_before(end) > 1),
        "never_bought" => number(&|known| exists(known) && known.bought_before(end) == 0),
        "never_contacted" => {
            number(&|known| exists(known) && !known.times(&ANSWERS[..5]).iter().any(|time| *time < end))
        }
        "customers_active" => number(&active),
        "customers_new" => {
            number(&|known| known.times(&["purchase"]).first().is_some_and(|first| holds(span, *first)))
        }
        "customers_lost" => Some(all.iter().map(lost).sum::<usize>() as f64),
        "customers_won_back" => {
            let won_back = |known: &Known| {
                known.relations.iter().skip(1).filter(|(begin, _)| holds(span, *begin)).count()
            };
            Some(all.iter().map(won_back).sum::<usize>() as f64)
        }
        "customers_retained" => before.and_then(|_| number(&|known| active(known) && active_before(known))),
        "customers_current" => number(&|known| known.is_current(end)),
        "growth_rate" => current_change(),
        "retention_rate" => {
            ratio(count(&|known| active(known) && active_before(known)), count(&active_before))
        }
        "churn_rate" => ratio(
            count(&|known| known.is_current(start) && lost(known) > 0),
            count(&|known| known.is_current(start)),
        ),
        "repurchase_rate" => {
            ratio(count(&|known| active(known) && known.bought_before(end) > 1), count(&active))
        }
        "revenue" => Some(revenue),
        "returns" => Some(returns),
        "net_revenue" => Some(revenue - returns),
        "orders" => Some(orders as f64),
        "average_order_value" => by(revenue, orders as f64),
        "revenue_per_customer" => by(revenue, count(&active) as f64),
        "revenue_share_top_20" => {
            let bringing = all.iter().filter(|known| active(known));
            let mut revenues: Vec<i64> = bringing.map(|known| known.sum("purchase", span)).collect();
            revenues.sort_unstable_by(|a, b| b.cmp(a));
            let top: i64 = revenues.iter().take(revenues.len().div_ceil(5)).sum();
            by(top as f64, revenue)
        }
        "return_rate" => by(returns, revenue),
        "satisfaction_index" => {
            let surveys = all.iter().flat_map(|known| &known.surveys).filter(|(time, _)| holds(span, *time));
            mean(&surveys.map(|(_, satisfaction)| *satisfaction).collect::<Vec<_>>())
        }
        "complaint_rate" => {
            let complaints = all.iter().flat_map(|known| known.times(&["complaint"]));
            ratio(complaints.filter(|time| holds(span, *time)).count(), orders)
        }
        "complaints_open" => {
            let complaints = all.iter().flat_map(|known| known.complaints(&["resolution"]));
            let open =
                complaints.filter(|(time, closed)| *time < end && closed.is_none_or(|closed| closed >= end));
            Some(open.count() as f64)
        }
        "hours_to_first_answer" => hours(&ANSWERS),
        "hours_to_resolution" => hours(&["resolution"]),
        "answered_within_sla" => {
            let over = |time: &Time| holds(span, *time) && time.plus_days(1) <= report.known_at;
            let (mut due, mut answered) = (0, 0);
            for known in all {
                for complaint in known.times(&["complaint"]).into_iter().filter(over) {
                    due += 1;
                    let in_time = |by: &Time| complaint <= *by && *by <= complaint.plus_days(1);
                    answered += usize::from(known.answers.iter().any(in_time));
                }
            }
            ratio(answered, due)
        }
        "lead_conversion_rate" => {
            let is_lead = |known: &Known| {
                let lead_since = known.created.filter(|created| {
                    holds(span, *created) && known.first_purchase.is_none_or(|purchase| purchase > *created)
                });
                lead_since.is_some_and(|created| created.plus_days(30) <= report.known_at)
            };
            let converts = |known: &Known| {
                converted(known).is_some_and(|(created, purchase)| purchase <= created.plus_days(30))
            };
            ratio(count(&|known| is_lead(known) && converts(known)), count(&is_lead))
        }
        "days_to_conversion" => {
            let conversions = all.iter().filter_map(converted).filter(|(_, purchase)| holds(span, *purchase));
            mean(&conversions.map(|(created, purchase)| purchase.days_since(created)).collect::<Vec<_>>())
        }
        "market_share" => by(count(&|known| known.is_current(end)) as f64, report.market_size as f64),
        _ => panic!("{name} has a reference"),
    }
}

/// Checks all figures of all spans of a report.
fn check(histories: &[History], report: &Report) -> Result<(), TestCaseError> {
    let all: Vec<Known> = histories.iter().map(|history| Known::new(history, report)).collect();
    let before = |moment: Time| crate::insight::period_before(report.period, &report.zone, moment);
    report.with(histories, |figure| {
        for period in report.periods() {
            let own = [(period.counted, before(period.calendar.start))];
            let compared = [period.previous, period.year_before].into_iter().flatten();
            for (span, before) in own.into_iter().chain(compared.map(|span| (span, before(span.start)))) {
                for metric in &KPI_METRICS {
                    let found = figure(metric.name, span).value;
                    let expected = value(&all, metric.name, span, before, report);
                    let close = match (found, expected) {
                        (Some(found), Some(expected)) => {
                            (found - expected).abs() <= 1e-9 * expected.abs().max(1.0)
                        }
                        (found, expected) => found == expected,
                    };
                    prop_assert!(close, "{metric:?} of {span:?}: {found:?}, not {expected:?}");
                }
            }
        }
        Ok(())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn figures_are_those_of_the_reference((histories, report) in business()) {
        check(&histories, &report)?;
    }
}
