//! What crossed pairs of features add to the log-odds.

use tally_model::{artifact::Artifact, encode::Cross};

/// The effect of one pair.
pub(super) struct PairView {
    pub first: String,
    pub second: String,
    pub cells: usize,
    /// The least that a cell adds, in log-odds before recalibration.
    pub lowest: f64,
    /// The most that a cell adds.
    pub highest: f64,
}

impl PairView {
    /// The pairs of a model, the widest range first.
    pub fn all(artifact: &Artifact) -> Vec<Self> {
        let encoder = &artifact.encoder;
        let name = |n: usize| encoder.features[n].measure.to_string();
        let crosses = encoder.cross_columns().map(|(cross, columns)| {
            let (lowest, highest) = range(cross, &artifact.weights[columns]);
            let [first, second] = cross.features.map(name);
            Self { first, second, cells: cross.count(), lowest, highest }
        });
        let mut pairs: Vec<Self> = crosses.collect();
        pairs.sort_by(|a, b| b.width().total_cmp(&a.width()));
        pairs
    }

    fn width(&self) -> f64 {
        self.highest - self.lowest
    }
}

/// The least and the most that a cell adds.
fn range(cross: &Cross, weights: &[f64]) -> (f64, f64) {
    let mut row = vec![0.0; weights.len()];
    (0..cross.count()).fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), cell| {
        cross.write(cell, &mut row);
        let z: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
        (low.min(z), high.max(z))
    })
}
