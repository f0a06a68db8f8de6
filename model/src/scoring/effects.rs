//! Effect curves: how the log-odds depend on the value of each feature.

use std::ops::Range;

use super::Scorer;
use crate::{encode::Feature, features::explain::FeatureValue};

/// The effect of a feature's values on the log-odds, other features being average.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The feature's name.
    pub feature: String,
    /// A value, and what it adds to the log-odds; numbers rise.
    pub curve: Vec<(FeatureValue, f64)>,
}

impl Scorer {
    /// The effect curve of each feature, without its crosses, at the slope of the calibration for an average
    /// customer.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        let artifact = self.artifact();
        let slope = self.slope(artifact.intercept);
        let effect = |(feature, columns): (&Feature, Range<usize>)| {
            let weights = &artifact.weights[columns];
            let curve = feature.curve_values().into_iter().map(|value| {
                (FeatureValue::of(&feature.measure, value), slope * feature.effect(value, weights))
            });
            Effect { feature: feature.measure.to_string(), curve: curve.collect() }
        };
        artifact.encoder.columns().map(effect).collect()
    }
}
