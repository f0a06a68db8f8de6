//! The golden rows of a new model: raw rows and their scores by the program that trained it.

use super::Scorer;
use crate::artifact::Golden;

/// The number of rows with values.
const ROWS: usize = 8;

/// Rows that have every feature at its least, …, its greatest value in training, and one without values.
#[must_use]
pub(crate) fn golden_rows(scorer: &Scorer) -> Vec<Golden> {
    (0..=ROWS)
        .map(|n| {
            let mut golden = Golden { raw: raw(scorer, n), log_odds: 0.0, standard_error: 0.0 };
            (golden.log_odds, golden.standard_error) = scorer.assess(&golden.values());
            golden
        })
        .collect()
}

/// The raw values of row `n`; the last row has none.
fn raw(scorer: &Scorer, n: usize) -> Vec<Option<f64>> {
    let artifact = scorer.artifact();
    let mut raw = vec![None; artifact.plan.width()];
    for (place, feature) in artifact.encoder.features.iter().enumerate() {
        let values = feature.curve_values();
        // Each feature is a step further, so that no row has all at the same quantile.
        let at = (n + place) % ROWS * (values.len() - 1) / (ROWS - 1);
        raw[feature.place] = Some(values[at]).filter(|value| n < ROWS && !value.is_nan());
    }
    raw
}
