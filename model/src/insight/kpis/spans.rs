//! The spans of time that key figures are about, and how to find those that hold a moment.

use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::tz::TimeZone;

use crate::{
    insight::{Period, ReportPeriod, Span, period_before},
    time::Time,
};

/// All spans that the periods of a report need: their own, those that they are compared with, and for each of these the
/// period of the calendar before it.
///
/// The starts and ends of all of them cut time into cells. Cell 0 is what lies before all of them.
#[derive(Clone, Debug)]
pub struct KpiSpans {
    /// In order, without duplicates.
    spans: Vec<PlannedSpan>,
    /// All starts and ends in order, without duplicates: cell n ends with `moments[n]`.
    moments: Vec<Time>,
    /// Per cell the spans that contain it.
    holding: Vec<Vec<usize>>,
}

/// One of the spans.
#[derive(Clone, Debug)]
pub(super) struct PlannedSpan {
    pub(super) span: Span,
    /// The last cell before it, and its own last cell.
    pub(super) cells: (usize, usize),
    /// Whether its figures are asked for; otherwise it is only the one before another.
    pub(super) asked: bool,
    /// The span of the period of the calendar before it.
    pub(super) before: Option<usize>,
}

/// Whether a span is asked for, and the period of the calendar before it.
#[derive(Clone, Copy, Default)]
struct Wanted {
    asked: bool,
    before: Option<Span>,
}

impl KpiSpans {
    /// The spans of these periods.
    #[must_use]
    pub fn new(periods: &[ReportPeriod], period: Period, zone: &TimeZone) -> Self {
        let mut wanted: BTreeMap<(Time, Time), Wanted> = BTreeMap::new();
        for report in periods {
            let own = [(report.counted, report.calendar.start)];
            let compared = [report.previous, report.year_before].into_iter().flatten();
            for (span, start) in own.into_iter().chain(compared.map(|span| (span, span.start))) {
                let before = period_before(period, zone, start);
                wanted.insert(key(span), Wanted { asked: true, before });
                if let Some(before) = before {
                    wanted.entry(key(before)).or_default();
                }
            }
        }
        Self::cut(&wanted)
    }

    fn cut(wanted: &BTreeMap<(Time, Time), Wanted>) -> Self {
        let mut moments: Vec<Time> = wanted.keys().flat_map(|(start, end)| [*start, *end]).collect();
        moments.sort_unstable();
        moments.dedup();
        let numbers: BTreeMap<_, usize> = wanted.keys().enumerate().map(|(n, key)| (*key, n)).collect();
        let cell = |moment: Time| moments.partition_point(|known| *known < moment);
        let spans: Vec<PlannedSpan> = wanted
            .iter()
            .map(|((start, end), Wanted { asked, before })| PlannedSpan {
                span: Span { start: *start, end: *end },
                cells: (cell(*start), cell(*end)),
                asked: *asked,
                before: before.and_then(|before| numbers.get(&key(before)).copied()),
            })
            .collect();
        let mut holding = vec![Vec::new(); moments.len() + 1];
        for (n, span) in spans.iter().enumerate() {
            span.own_cells().for_each(|cell| holding[cell].push(n));
        }
        Self { spans, moments, holding }
    }

    pub(super) fn spans(&self) -> &[PlannedSpan] {
        &self.spans
    }

    /// The number of cells; the last one is what lies after all spans.
    pub(super) fn cells(&self) -> usize {
        self.holding.len()
    }

    /// The cell that holds a moment.
    pub(super) fn cell(&self, moment: Time) -> usize {
        self.moments.partition_point(|known| *known <= moment)
    }

    /// The cell that holds a moment, which is not before `cell`.
    pub(super) fn cell_from(&self, cell: usize, moment: Time) -> usize {
        // Most moments are in the cell of the one before.
        match self.moments.get(cell) {
            Some(end) if moment >= *end => {
                cell + self.moments[cell..].partition_point(|known| *known <= moment)
            }
            _ => cell,
        }
    }

    /// The spans that contain a cell.
    pub(super) fn holding(&self, cell: usize) -> &[usize] {
        &self.holding[cell]
    }

    /// The number of a span.
    pub(super) fn number(&self, span: Span) -> Option<usize> {
        self.spans.binary_search_by_key(&key(span), |planned| key(planned.span)).ok()
    }
}

impl PlannedSpan {
    fn own_cells(&self) -> RangeInclusive<usize> {
        self.cells.0 + 1..=self.cells.1
    }
}

const fn key(span: Span) -> (Time, Time) {
    (span.start, span.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::report_periods;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn months(from: &str, to: &str) -> (Vec<ReportPeriod>, KpiSpans) {
        let range = Span { start: at(from), end: at(to) };
        let periods = report_periods(Period::Month, &TimeZone::UTC, range, at("2030-01-01")).unwrap();
        let spans = KpiSpans::new(&periods, Period::Month, &TimeZone::UTC);
        (periods, spans)
    }

    fn shown(spans: &KpiSpans, span: usize) -> String {
        let text = |time: Time| time.to_string()[..10].to_owned();
        let PlannedSpan { span, asked, .. } = &spans.spans[span];
        format!("{} {}{}", text(span.start), text(span.end), if *asked { "" } else { " only before" })
    }

    #[test]
    fn periods_bring_those_that_they_are_compared_with() {
        let (_, spans) = months("2024-03-01", "2024-04-10");
        let all: Vec<String> = (0..spans.spans.len()).map(|n| shown(&spans, n)).collect();
        assert_eq!(
            all,
            [
                "2023-02-01 2023-03-01 only before",
                "2023-03-01 2023-04-01",
                "2024-01-01 2024-02-01 only before",
                "2024-02-01 2024-03-01",
                "2024-03-01 2024-04-01",
                "2024-04-01 2024-04-10",
            ]
        );
        let before: Vec<Option<usize>> = spans.spans.iter().map(|span| span.before).collect();
        assert_eq!(before, [None, Some(0), None, Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn a_cut_period_and_the_whole_one_overlap() {
        let (_, spans) = months("2024-03-10", "2024-05-01");
        let holding = |moment: &str| -> Vec<String> {
            spans.holding(spans.cell(at(moment))).iter().map(|n| shown(&spans, *n)).collect()
        };
        assert_eq!(holding("2024-03-09T23:59:59.999999Z"), ["2024-03-01 2024-04-01"]);
        assert_eq!(holding("2024-03-10"), ["2024-03-01 2024-04-01", "2024-03-10 2024-04-01"]);
        assert_eq!(holding("2024-04-01"), ["2024-04-01 2024-05-01"]);
        assert!(holding("2024-05-01").is_empty() && holding("1999-01-01").is_empty());
    }

    #[test]
    fn cells_are_found_from_any_cell_before() {
        let (_, spans) = months("2020-01-15", "2024-05-10");
        let moments = (0..2_000).map(|day| at("2018-06-01").plus_days(day)).chain(spans.moments.clone());
        let mut moments: Vec<Time> = moments.collect();
        moments.sort_unstable();
        let mut cell = 0;
        for moment in moments {
            cell = spans.cell_from(cell, moment);
            assert_eq!(cell, spans.cell(moment));
            let expected = spans
                .spans
                .iter()
                .enumerate()
                .filter(|(_, planned)| planned.span.start <= moment && moment < planned.span.end);
            let expected: Vec<usize> = expected.map(|(n, _)| n).collect();
            assert_eq!(spans.holding(cell), expected, "{moment}");
        }
    }

    #[test]
    fn all_has_nothing_before_it() {
        let range = Span { start: at("2024-01-10"), end: at("2024-02-10") };
        let periods = report_periods(Period::All, &TimeZone::UTC, range, at("2030-01-01")).unwrap();
        let spans = KpiSpans::new(&periods, Period::All, &TimeZone::UTC);
        assert_eq!((spans.spans.len(), spans.spans[0].before), (1, None));
        assert_eq!(spans.number(range), Some(0));
    }
}
