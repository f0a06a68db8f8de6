//! One feature's effect and its plot: numbers as a line, with missing ones as a dashed line; categories as bars.

use tally_model::{features::explain::FeatureValue, scoring::Effect};

use crate::report::plots::{Axis, BLUE, BarChart, Chart, GREY, Mark, ORANGE, Plot, PlotError, short_number};

/// The number of levels drawn of a category, the most common ones.
const LEVELS: usize = 12;
const SIZE: (u32, u32) = (350, 220);

/// The effect of one feature.
pub(super) struct EffectView {
    pub feature: String,
    /// The standard deviation of what the feature adds over the customers at the training, in log-odds.
    pub importance: f64,
    /// What a missing number adds, in log-odds; None for categories, which have a bar for it.
    pub missing: Option<f64>,
    /// Levels of a category beyond those drawn.
    pub hidden_levels: usize,
    pub plot: Plot,
}

impl EffectView {
    /// The curve of `effect` has at least one point; `log_odds` is the vertical axis of all effects.
    pub fn new(effect: Effect, importance: f64, log_odds: &Axis) -> Result<Self, PlotError> {
        let title = format!("Effect of {}", effect.feature);
        let numbers: Vec<(f64, f64)> = effect
            .curve
            .iter()
            .filter_map(|(value, z)| if let FeatureValue::Number(x) = value { Some((*x, *z)) } else { None })
            .collect();
        let (missing, hidden_levels, plot) = if numbers.is_empty() {
            let hidden = effect.curve.len().saturating_sub(LEVELS);
            (None, hidden, level_plot(&title, &effect, log_odds)?)
        } else {
            let missing = effect.curve.iter().find(|(value, _)| *value == FeatureValue::Missing);
            let missing = missing.map(|(_, z)| *z);
            (missing, 0, number_plot(&title, numbers, missing, log_odds)?)
        };
        Ok(Self { feature: effect.feature, importance, missing, hidden_levels, plot })
    }
}

/// `numbers` rise and are not empty.
fn number_plot(
    title: &str,
    numbers: Vec<(f64, f64)>,
    missing: Option<f64>,
    log_odds: &Axis,
) -> Result<Plot, PlotError> {
    let (low, median, high) = (numbers[0].0, numbers[numbers.len() / 2].0, numbers[numbers.len() - 1].0);
    let skewed = low >= 0.0 && high > 8.0 * median.max(1.0);
    let x = if skewed { Axis::skewed(low, high) } else { Axis::numbers(low, high, 6, short_number) };
    let level = |z: f64| vec![(low, z), (high, z)];
    let mut marks = vec![Mark::Dashed(GREY, level(0.0))];
    marks.extend(missing.map(|z| Mark::Dashed(ORANGE, level(z))));
    marks.push(Mark::Line(BLUE, numbers));
    Chart { title, size: SIZE, x: (x, ""), y: (log_odds.clone(), "log-odds"), marks }.draw()
}

fn level_plot(title: &str, effect: &Effect, log_odds: &Axis) -> Result<Plot, PlotError> {
    let name = |value: &FeatureValue| match value {
        FeatureValue::Missing => "(missing)".to_owned(),
        FeatureValue::Number(x) => short_number(*x),
        FeatureValue::Boolean(truth) => truth.to_string(),
        FeatureValue::Text(level) => level.clone(),
    };
    let bars = effect.curve.iter().take(LEVELS).map(|(value, z)| (name(value), *z)).collect();
    BarChart { title, width: SIZE.0, x: (log_odds.clone(), "log-odds"), bars }.draw()
}
