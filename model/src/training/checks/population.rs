//! Whether the customers that would be scored now are like the snapshots: a model says little about values that it
//! has never seen.

use super::{CheckInput, FailedCheck};
use crate::features::{Forecast, Measure};

/// The share of the customers that may lie outside.
const SHARE: f64 = 0.25;

/// The feature by which most customers lie outside of what was learned from.
pub(super) fn out_of_range(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let plan = &input.trained.artifact.plan;
    let measures = plan.measures();
    let width = measures.len();
    let population = &input.rows.population;
    // The features of the forecast are derived from others.
    let own = width - plan.forecast.map_or(0, |_| Forecast::WIDTH);
    let numbers = measures.iter().enumerate().take(own).filter(|(_, measure)| !measure.is_category());
    let outside = numbers.filter_map(|(place, measure)| {
        let column = |rows: &[f64]| -> Vec<f64> {
            rows.iter().skip(place).step_by(width).copied().filter(|value| value.is_finite()).collect()
        };
        let range = Range::of(&column(&input.rows.features))?;
        let values = column(&population.features);
        let outside = values.iter().filter(|value| range.is_far_from(**value)).count();
        Some((outside, measure, range, Range::of(&values)?))
    });
    // Of equals the first, so that the order of the plan decides.
    let worst = outside.reduce(|worst, next| if next.0 > worst.0 { next } else { worst });
    let (outside, measure, learned, found) = worst?;
    (outside as f64 > SHARE * population.customers as f64)
        .then(|| failed(outside, population.customers, measure, [learned, found]))
}

fn failed(outside: usize, customers: usize, measure: &Measure, [learned, found]: [Range; 2]) -> FailedCheck {
    let message = format!(
        "{:.1} % of the customers that would be scored now are far from what was learned from: {measure} is {} to {} \
         in the snapshots, and {} to {} among the customers",
        100.0 * outside as f64 / customers as f64,
        short(learned.low),
        short(learned.high),
        short(found.low),
        short(found.high),
    );
    let remedy = "learn from snapshots like these: for leads, `ages_days` under [lead] in the spec up to their ages; \
                  for churn, a longer history or a smaller `cutoff_every_days`";
    FailedCheck::remark("POPULATION_OUT_OF_RANGE", message, remedy.to_owned())
}

/// A number with at most one decimal.
fn short(value: f64) -> String {
    format!("{}", (value * 10.0).round() / 10.0)
}

/// The least and the greatest of some values.
#[derive(Clone, Copy)]
struct Range {
    low: f64,
    high: f64,
}

impl Range {
    fn of(values: &[f64]) -> Option<Self> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        Some(Self { low, high })
    }

    /// Whether a value lies outside by more than half the range.
    fn is_far_from(self, value: f64) -> bool {
        let margin = (self.high - self.low) / 2.0;
        value > self.high + margin || value < self.low - margin
    }
}
