//! The values of the key figures, from what was counted.

use super::{
    counts::{Cell, KpiCounts},
    metric::KpiMetric,
    spans::KpiSpans,
};
use crate::insight::Span;

/// The value of a key figure.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// None where it is not defined.
    pub value: Option<f64>,
    /// What was divided by what, for ratios and means.
    pub quotient: Option<(f64, f64)>,
}

impl Figure {
    pub(super) const UNDEFINED: Self = Self { value: None, quotient: None };

    pub(super) fn number(number: i128) -> Self {
        Self { value: Some(number as f64), quotient: None }
    }

    /// Not defined when the denominator is 0.
    pub(super) fn quotient(numerator: f64, denominator: i128) -> Self {
        let divisor = denominator as f64;
        let value = (denominator != 0).then(|| numerator / divisor);
        Self { value, quotient: Some((numerator, divisor)) }
    }

    pub(super) fn ratio(numerator: i128, denominator: i128) -> Self {
        Self::quotient(numerator as f64, denominator)
    }
}

/// The key figures of all spans.
pub struct KpiFigures<'a> {
    spans: &'a KpiSpans,
    /// Per cell all time up to its end.
    until: Vec<Cell>,
    counts: KpiCounts,
    /// Per span the revenue of the fifth of the active customers who bring most.
    top_revenues: Vec<i128>,
    market_size: i64,
}

/// The figures of one span, of which the metrics are made.
pub(super) struct SpanFigures {
    /// All time before its start.
    pub(super) at_start: Cell,
    /// All time before its end.
    pub(super) at_end: Cell,
    /// The span itself.
    pub(super) within: Cell,
    pub(super) active: i128,
    pub(super) repeating: i128,
    pub(super) churned: i128,
    /// Customers who bought in it and in the period before, and those who bought in the period before; None when there
    /// is none.
    pub(super) retained: Option<(i128, i128)>,
    /// The revenue of the fifth of the active customers who bring most.
    pub(super) top_revenue: i128,
    pub(super) market_size: i128,
}

impl<'a> KpiFigures<'a> {
    /// The figures of what was counted for `spans`. A market size of 0 is unknown.
    #[must_use]
    pub fn new(spans: &'a KpiSpans, mut counts: KpiCounts, market_size: i64) -> Self {
        let revenues = counts.spans.iter_mut().map(|span| std::mem::take(&mut span.revenues));
        let top_revenues = revenues.map(top_fifth).collect();
        Self { spans, until: counts.cumulated(), top_revenues, counts, market_size }
    }

    /// The figures of all `metrics` in a span, in their order; none for a span that was not counted.
    #[must_use]
    pub fn of(&self, metrics: &[&KpiMetric], span: Span) -> Vec<Figure> {
        let Some(figures) = self.span(span) else { return vec![Figure::UNDEFINED; metrics.len()] };
        metrics.iter().map(|metric| metric.figure(&figures)).collect()
    }

    fn span(&self, span: Span) -> Option<SpanFigures> {
        let number = self.spans.number(span)?;
        let planned = &self.spans.spans()[number];
        let counts = &self.counts.spans[number];
        let [at_start, at_end] = [planned.cells.0, planned.cells.1].map(|cell| self.until[cell]);
        let retained = planned
            .before
            .map(|before| (i128::from(counts.retained), i128::from(self.counts.spans[before].active)));
        Some(SpanFigures {
            at_start,
            at_end,
            within: at_end - at_start,
            active: i128::from(counts.active),
            repeating: i128::from(counts.repeating),
            churned: i128::from(counts.churned),
            retained,
            top_revenue: self.top_revenues[number],
            market_size: i128::from(self.market_size),
        })
    }
}

/// The sum of the greatest fifth of the revenues, rounded up.
fn top_fifth(mut revenues: Vec<i64>) -> i128 {
    let top = revenues.len().div_ceil(5);
    if top < revenues.len() {
        revenues.select_nth_unstable_by(top, |a, b| b.cmp(a));
    }
    revenues.iter().take(top).map(|revenue| i128::from(*revenue)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_fifth_is_rounded_up() {
        assert_eq!(top_fifth(Vec::new()), 0);
        assert_eq!(top_fifth(vec![7]), 7);
        assert_eq!(top_fifth(vec![1, 2, 9, 4, 3]), 9);
        assert_eq!(top_fifth(vec![1, 2, 9, 4, 3, 8]), 17);
        assert_eq!(top_fifth((1..=10).collect()), 19);
        assert_eq!(top_fifth(vec![5; 11]), 15);
    }

    #[test]
    fn nothing_is_divided_by_zero() {
        assert_eq!(Figure::ratio(3, 0), Figure { value: None, quotient: Some((3.0, 0.0)) });
        assert_eq!(Figure::ratio(0, 4), Figure { value: Some(0.0), quotient: Some((0.0, 4.0)) });
        assert_eq!(Figure::number(0).value, Some(0.0));
    }
}
