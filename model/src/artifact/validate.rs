//! The rules that scoring relies on.

use super::{Artifact, ArtifactError, Calibration};
use crate::{
    encode::{Cells, Cross, Feature},
    features::Measure,
};

impl Artifact {
    /// Checks everything that scoring relies on.
    pub(super) fn validate(&self) -> Result<(), ArtifactError> {
        self.spec.validate().map_err(|error| ArtifactError::Invalid(error.to_string()))?;
        let measures = self.plan.measures();
        self.validate_plan()?;
        self.validate_encoder(&measures)?;
        self.validate_fit(&measures)?;
        self.validate_numbers()?;
        rule(self.reference.fits(&measures), "the reference for drift does not fit the features")?;
        rule(self.amount_decimals <= 4, "amounts have more than 4 decimals")?;
        let [a, b, c] = self.quartiles;
        rule(0.0 < a && a <= b && b <= c && c < 1.0, "the quartiles are not rising probabilities")
    }

    fn validate_plan(&self) -> Result<(), ArtifactError> {
        let plan = &self.plan;
        let habits = [plan.habits.channels.len(), plan.habits.categories.len()];
        let sizes = [plan.windows_days.len(), plan.kinds.len(), plan.properties.len(), plan.attributes.len()];
        rule(
            sizes.iter().chain(&habits).zip([10, 50, 50, 200, 50, 50]).all(|(size, most)| *size <= most),
            "the plan is larger than a spec allows",
        )?;
        rule(
            plan.start_kinds == self.outcome.start_kinds && plan.start_kinds.len() <= 50,
            "the plan and the outcome differ in what begins a relation",
        )?;
        rule(plan.windows_days.is_sorted_by(|a, b| a < b), "the windows of the plan do not rise")?;
        let bg_nbd = plan.forecast.and_then(|forecast| forecast.model);
        rule(bg_nbd.is_none_or(|model| model.is_valid()), "a parameter of the BG/NBD model is out of bounds")
    }

    fn validate_encoder(&self, measures: &[Measure]) -> Result<(), ArtifactError> {
        let features = &self.encoder.features;
        rule(
            features.iter().all(|feature| measures.get(feature.place) == Some(&feature.measure)),
            "a feature is not in the plan",
        )?;
        rule(
            features.is_sorted_by(|a, b| a.place < b.place),
            "the features are not in the order of the plan",
        )?;
        rule(features.iter().all(is_valid), "an encoding does not fit its feature")?;
        rule(
            self.encoder.crosses.iter().all(|cross| self.has_features_of(cross)),
            "a cross does not fit its features",
        )
    }

    fn validate_fit(&self, measures: &[Measure]) -> Result<(), ArtifactError> {
        let columns = self.encoder.width();
        rule(
            self.weights.len() == columns
                && self.covariance_factor.len() == (columns + 1) * (columns + 2) / 2,
            "weights and columns differ in number",
        )?;
        rule(self.calibration.as_ref().is_none_or(Calibration::is_valid), "the calibration does not rise")?;
        rule(
            !self.golden.is_empty() && self.golden.iter().all(|golden| golden.raw.len() == measures.len()),
            "there is no golden row, or one of another length than the plan",
        )
    }

    fn validate_numbers(&self) -> Result<(), ArtifactError> {
        rule(self.card.is_finite(), "a metric is not a finite number")?;
        let mut numbers = [self.intercept, self.penalty]
            .into_iter()
            .chain(self.weights.iter().copied())
            .chain(self.covariance_factor.iter().map(|x| f64::from(*x)));
        rule(numbers.all(f64::is_finite), "a weight is not a finite number")
    }

    /// Whether a cross is valid and belongs to two features of this encoder.
    fn has_features_of(&self, cross: &Cross) -> bool {
        let [first, second] = cross.features;
        let known = first.max(second) < self.encoder.features.len() && first != second;
        let cells = cross.cells.iter().all(|cells| cells.is_valid() && cells.count() <= 1 << 8);
        let pairs = || cross.features.iter().zip(&cross.cells);
        known
            && cells
            && pairs().all(|(n, cells)| fits(&self.encoder.features[*n].measure, cells))
            && cross.means.len() == cross.width()
            && cross.means.iter().all(|mean| mean.is_finite())
            && cross.scale.is_finite()
            && cross.scale > 0.0
    }
}

/// Whether the encoding is valid and belongs to a measure of this scale.
fn is_valid(feature: &Feature) -> bool {
    let finite = feature.grid.iter().all(|value| value.is_finite()) && feature.grid.is_sorted();
    let line = feature.line.as_ref().is_none_or(|line| {
        let hinges = line.hinges.iter().all(|(knot, mean)| knot.is_finite() && mean.is_finite());
        let all = [line.low, line.high, line.mean, line.sd].iter().all(|value| value.is_finite());
        let scaled =
            line.sd > 0.0 && ((line.high.abs() + line.low.abs() + line.mean.abs()) / line.sd).is_finite();
        let scaled = scaled && line.scale.is_finite() && line.scale > 0.0;
        hinges && all && scaled && line.low <= line.high
    });
    let fitting = fits(&feature.measure, &feature.cells);
    let category = matches!(feature.cells, Cells::Levels { .. });
    finite
        && line
        && fitting
        && !(category && feature.line.is_some())
        && feature.cells.is_valid()
        && !feature.curve_values().is_empty()
}

/// Whether the cells fit the measure: levels for a category, bins for a number.
const fn fits(measure: &Measure, cells: &Cells) -> bool {
    let category = measure.is_category();
    match cells {
        Cells::Bins { .. } => !category,
        Cells::Levels { .. } => category,
    }
}

fn rule(holds: bool, otherwise: &str) -> Result<(), ArtifactError> {
    if holds { Ok(()) } else { Err(ArtifactError::Invalid(otherwise.to_owned())) }
}
