//! What customers add to the key figures, as exact sums: the same in whatever order customers are added.

use std::ops::{Index, Sub};

use super::spans::KpiSpans;

/// What is counted at moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Customers that begin to exist.
    Customers,
    /// Customers that buy for the second time.
    Repeating,
    /// Customers that are contacted for the first time.
    Contacted,
    /// First purchases.
    New,
    /// Losses.
    Lost,
    /// Win-backs.
    WonBack,
    /// Amounts of purchases.
    Revenue,
    /// Amounts of returns.
    Returns,
    /// Purchases.
    Orders,
    /// Score by expected score of surveys, in units of 1 / [`SATISFACTION`].
    Satisfaction,
    /// Surveys.
    Surveys,
    /// Complaints.
    Complaints,
    /// Complaints whose hours to answer are over.
    Due,
    /// Those of them that were answered in these hours.
    DueAnswered,
    /// Answers to complaints, at the time of the answer.
    Answered,
    /// Microseconds from these complaints to their answers.
    AnswerTime,
    /// Resolutions of complaints, at the time of the resolution.
    Resolved,
    /// Microseconds from these complaints to their resolutions.
    ResolutionTime,
    /// Leads whose days to convert are over, at the time of creation.
    Leads,
    /// Those of them that bought in these days.
    LeadsConverted,
    /// First purchases of leads.
    Conversions,
    /// Microseconds from the creation of these leads to their first purchases.
    ConversionTime,
}

const COUNTS: usize = Count::ConversionTime as usize + 1;

/// Satisfaction is summed in units of this part of one. Ratios of small numbers are exact in it, and others precise to
/// 18 decimals.
const SATISFACTION: f64 = (1_u64 << 60) as f64;

/// Counts of some stretch of time, or of all time before a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell([i128; COUNTS]);

impl Cell {
    const EMPTY: Self = Self([0; COUNTS]);

    fn merge(&mut self, other: &Self) {
        // No sum leaves the range: there are fewer than 2^64 interactions, and of each fewer than 2^63 units count.
        self.0.iter_mut().zip(&other.0).for_each(|(sum, more)| *sum = sum.saturating_add(*more));
    }

    /// The sum of score by expected score.
    pub(super) fn satisfaction(&self) -> f64 {
        self[Count::Satisfaction] as f64 / SATISFACTION
    }

    /// Current customers, when this is all time before a moment.
    pub(super) fn current(&self) -> i128 {
        self[Count::New] + self[Count::WonBack] - self[Count::Lost]
    }
}

impl Index<Count> for Cell {
    type Output = i128;

    fn index(&self, count: Count) -> &i128 {
        &self.0[count as usize]
    }
}

impl Sub for Cell {
    type Output = Self;

    fn sub(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(sum, less)| *sum = sum.saturating_sub(less));
        self
    }
}

/// What is counted once a customer and span.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SpanCounts {
    /// Customers with a purchase in it.
    pub(super) active: i64,
    /// Those of them with a purchase in the period before.
    pub(super) retained: i64,
    /// Those of the active with two purchases or more before its end.
    pub(super) repeating: i64,
    /// Customers current at its start who were lost in it.
    pub(super) churned: i64,
    /// The revenue of each active customer, if that is asked for.
    pub(super) revenues: Vec<i64>,
}

/// What customers add to the key figures of some spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KpiCounts {
    pub(super) cells: Vec<Cell>,
    pub(super) spans: Vec<SpanCounts>,
}

impl KpiCounts {
    /// No customer.
    #[must_use]
    pub fn new(spans: &KpiSpans) -> Self {
        Self {
            cells: vec![Cell::EMPTY; spans.cells()],
            spans: vec![SpanCounts::default(); spans.spans().len()],
        }
    }

    /// Adds other customers, counted for the same spans.
    pub fn merge(&mut self, others: Self) {
        self.cells.iter_mut().zip(&others.cells).for_each(|(cell, other)| cell.merge(other));
        for (span, other) in self.spans.iter_mut().zip(others.spans) {
            span.active += other.active;
            span.retained += other.retained;
            span.repeating += other.repeating;
            span.churned += other.churned;
            span.revenues.extend(other.revenues);
        }
    }

    /// Whether the revenue of a customer in a span is beyond what fits into 64 bits, and stays at the end of the range. Only
    /// where revenues are kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.spans.iter().any(|span| span.revenues.contains(&i64::MAX))
    }

    pub(super) fn add(&mut self, cell: usize, count: Count, units: i128) {
        let sum = &mut self.cells[cell].0[count as usize];
        *sum = sum.saturating_add(units);
    }

    pub(super) fn add_survey(&mut self, cell: usize, satisfaction: f64) {
        self.add(cell, Count::Surveys, 1);
        self.add(cell, Count::Satisfaction, (satisfaction * SATISFACTION).round() as i128);
    }

    /// Per cell the counts of all time up to its end.
    pub(super) fn cumulated(&self) -> Vec<Cell> {
        let mut sum = Cell::EMPTY;
        let next = |cell: &Cell| {
            sum.merge(cell);
            sum
        };
        self.cells.iter().map(next).collect()
    }
}
