//! Whether the customers that would be scored now are like the snapshots: a model says little about values that it
//! has never seen.

use super::{CheckInput, FailedCheck};
use crate::{
    encode::Feature,
    features::{Forecast, Measure},
    training::snapshot::Snapshots,
};

/// The share of the customers that may lie outside.
const SHARE: f64 = 0.25;

/// The feature by which most customers lie outside of what was learned from, among those that the model uses: the
/// others have no influence on a score.
pub(super) fn out_of_range(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let artifact = &input.trained.artifact;
    let width = artifact.plan.width();
    // The features of the forecast are derived from others.
    let own = width - artifact.plan.forecast.map_or(0, |_| Forecast::WIDTH);
    let used = artifact.encoder.features.iter().filter(|feature| feature.place < own);
    furthest(used, width, input.rows)
}

/// The same among the features `used`; a raw row has `width` values.
fn furthest<'a>(
    used: impl Iterator<Item = &'a Feature>,
    width: usize,
    rows: &Snapshots,
) -> Option<FailedCheck> {
    let population = &rows.population;
    let numbers = used.filter(|feature| !feature.measure.is_category());
    let outside = numbers.filter_map(|Feature { measure, place, .. }| {
        let column = |raw: &[f64]| -> Vec<f64> {
            raw.iter().skip(*place).step_by(width).copied().filter(|value| value.is_finite()).collect()
        };
        let range = Range::of(&column(&rows.features))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode::Cells, training::population::Population};

    #[test]
    fn only_features_that_the_model_uses_are_considered() {
        let feature = |(place, measure): (usize, Measure)| Feature {
            measure,
            place,
            line: None,
            cells: Cells::Bins { edges: Vec::new(), missing: None },
            grid: Vec::new(),
        };
        let features = [(0, Measure::SilenceDays), (1, Measure::TenureDays)].map(feature);
        let rows = Snapshots {
            features: vec![1.0, 0.0, 3.0, 7.0],
            population: Population {
                features: vec![2.0, 100.0, 3.0, 200.0],
                customers: 2,
                ..Population::default()
            },
            ..Snapshots::default()
        };
        assert_eq!(furthest(features[..1].iter(), 2, &rows), None);
        let found = furthest(features.iter(), 2, &rows);
        let words = "tenure_days is 0 to 7 in the snapshots, and 100 to 200 among the customers";
        assert!(found.as_ref().is_some_and(|found| found.message.ends_with(words)), "{found:?}");
    }
}
