//! Periods as spans of time that do not overlap, so that each interaction is in one of them at most.

use std::collections::BTreeMap;

use tally_model::{
    insight::{ReportPeriod, Span},
    time::Time,
};

/// What a span is to a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// All that counts of it.
    Counted = 0,
    /// A part of the previous period.
    Previous = 1,
    /// A part of the period of the year before.
    YearBefore = 2,
}

/// The spans of the periods of a report and of all that they are compared with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReportSpans {
    /// In order.
    pub(super) spans: Vec<Span>,
    /// Numbers of a span, of a period, and of a [`Role`].
    pub(super) roles: Vec<[i64; 3]>,
    /// The number of the first span that counts. All before it are only compared with, and all after it count, too.
    pub(super) first_counted: i64,
}

impl ReportSpans {
    pub(super) fn new(periods: &[ReportPeriod]) -> Self {
        let wanted = wanted(periods);
        let mut limits: Vec<Time> = wanted.iter().flat_map(|(span, _, _)| [span.start, span.end]).collect();
        limits.sort_unstable();
        limits.dedup();
        // The range of a report cuts the period in which it begins; what is compared with it as a whole has two parts.
        let parts = |span: &Span| {
            let first = limits.partition_point(|limit| *limit < span.start);
            let end = limits.partition_point(|limit| *limit < span.end);
            first..end
        };
        let mut numbers: BTreeMap<usize, i64> =
            wanted.iter().flat_map(|(span, _, _)| parts(span)).map(|part| (part, 0)).collect();
        for (number, of_part) in (0..).zip(numbers.values_mut()) {
            *of_part = number;
        }
        let spans = numbers.keys().map(|part| Span { start: limits[*part], end: limits[part + 1] }).collect();
        let role = |(span, period, role): &(Span, i64, Role)| {
            let (period, role) = (*period, *role as i64);
            parts(span).map(move |part| [part as i64, period, role]).collect::<Vec<_>>()
        };
        let mut roles: Vec<[i64; 3]> = wanted.iter().flat_map(role).collect();
        for [part, ..] in &mut roles {
            *part = numbers.get(&(*part as usize)).copied().unwrap_or_default();
        }
        let counted = roles.iter().filter(|[_, _, role]| *role == Role::Counted as i64);
        let first_counted = counted.map(|[span, ..]| *span).min().unwrap_or_default();
        Self { spans, roles, first_counted }
    }
}

/// All that the sums of the periods need: a span, the place of the period, and what the one is to the other.
fn wanted(periods: &[ReportPeriod]) -> Vec<(Span, i64, Role)> {
    let of_period = |(n, period): (i64, &ReportPeriod)| {
        let compared = [(period.previous, Role::Previous), (period.year_before, Role::YearBefore)];
        let compared = compared.into_iter().filter_map(move |(span, role)| Some((span?, n, role)));
        std::iter::once((period.counted, n, Role::Counted)).chain(compared).collect::<Vec<_>>()
    };
    (0..).zip(periods).flat_map(of_period).collect()
}

/// Spans without those that follow one another directly.
pub(crate) fn united(spans: &[Span]) -> Vec<Span> {
    let mut united: Vec<Span> = Vec::new();
    for span in spans {
        match united.last_mut() {
            Some(last) if last.end == span.start => last.end = span.end,
            _ => united.push(*span),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use tally_model::insight::{Period, report_periods, time_zone};

    use super::*;

    fn spans(period: Period, from: &str, to: &str) -> ReportSpans {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let range = Span { start: at(from), end: at(to) };
        let periods = report_periods(period, &time_zone("").unwrap(), range, at("2030-01-01")).unwrap();
        ReportSpans::new(&periods)
    }

    fn shown(spans: &[Span]) -> Vec<String> {
        spans
            .iter()
            .map(|span| format!("{} {}", &span.start.to_string()[..10], &span.end.to_string()[..10]))
            .collect()
    }

    #[test]
    fn what_is_compared_with_comes_first_and_is_not_counted_twice() {
        let found = spans(Period::Month, "2024-02-01", "2024-04-01");
        assert_eq!(
            shown(&found.spans),
            [
                "2023-02-01 2023-03-01",
                "2023-03-01 2023-04-01",
                "2024-01-01 2024-02-01",
                "2024-02-01 2024-03-01",
                "2024-03-01 2024-04-01",
            ]
        );
        assert_eq!(found.roles, [[3, 0, 0], [2, 0, 1], [0, 0, 2], [4, 1, 0], [3, 1, 1], [1, 1, 2]]);
        assert_eq!(found.first_counted, 3);
        assert_eq!(shown(&united(&found.spans)), ["2023-02-01 2023-04-01", "2024-01-01 2024-04-01"]);
    }

    #[test]
    fn a_period_that_the_range_cuts_is_compared_with_as_a_whole() {
        let found = spans(Period::Month, "2024-02-10", "2024-04-01");
        assert_eq!(
            shown(&found.spans),
            [
                "2023-03-01 2023-04-01",
                "2024-02-01 2024-02-10",
                "2024-02-10 2024-03-01",
                "2024-03-01 2024-04-01",
            ]
        );
        assert_eq!(found.roles, [[2, 0, 0], [3, 1, 0], [1, 1, 1], [2, 1, 1], [0, 1, 2]]);
        assert_eq!(found.first_counted, 2);
    }

    #[test]
    fn each_counted_period_is_one_span() {
        for (period, to) in
            [(Period::Day, "2024-06-03"), (Period::Week, "2026-05-05"), (Period::Quarter, "2029-02-01")]
        {
            let found = spans(period, "2022-02-11", to);
            let counted: Vec<_> = found.roles.iter().filter(|[.., role]| *role == 0).collect();
            let expected: Vec<[i64; 3]> =
                (0..counted.len() as i64).map(|n| [found.first_counted + n, n, 0]).collect();
            assert!(counted.into_iter().eq(&expected), "{period:?}");
            assert_eq!(found.spans.len() as i64, found.first_counted + expected.len() as i64);
        }
    }
}
