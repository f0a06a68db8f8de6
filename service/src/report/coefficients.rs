//! The coefficients of a model, as the text and the JSON report list them.

use serde::Serialize;
use tally_model::artifact::Artifact;

/// The coefficient of one column of the design row.
#[derive(Debug, Serialize)]
pub(super) struct Coefficient {
    /// The feature that the column belongs to.
    pub feature: String,
    /// What the column holds of the feature, such as `value`, `> 30` or `= mar`.
    pub column: String,
    /// In log-odds.
    pub coefficient: f64,
}

impl Coefficient {
    /// All coefficients of a model, the largest absolute value first.
    pub fn by_size(artifact: &Artifact) -> Vec<Self> {
        let names = artifact.encoder.column_names().into_iter();
        let mut all: Vec<Self> = names
            .zip(&artifact.weights)
            .map(|((feature, column), weight)| Self { feature, column, coefficient: *weight })
            .collect();
        all.sort_by(|a, b| b.coefficient.abs().total_cmp(&a.coefficient.abs()));
        all
    }
}
