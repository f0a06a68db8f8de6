//! What comes, of the customers there are: purchase days and revenue in the next steps of 30 days by the value model, and
//! the customers in each stage of the life cycle by the transitions of the last twelve steps.

mod markov;
mod purchases;
mod sample;
mod stages;

use super::LifeCycle;
use crate::{special::Z95, time::Time};

pub use sample::{ForecastActual, ForecastSample};

/// The days of a step.
pub const FORECAST_STEP_DAYS: i64 = 30;
/// The past steps that transitions are counted in.
const PAST_STEPS: i64 = 12;

/// A forecast.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// By step, and within it purchases, revenue and the stages; without the first two when there is no usable value
    /// model.
    pub rows: Vec<ForecastRow>,
    /// Purchases and revenue of all steps together, as those of one step that is as long: step 0. Their intervals are
    /// joint; those of the rows do not add up, because what makes one step better makes the others better, too. Empty
    /// when there is no usable value model.
    pub totals: Vec<ForecastRow>,
    /// The transitions that the stages follow: all that were counted, and for a stage without any that it stays.
    pub transitions: Vec<StageTransition>,
    /// For each stage the expected number of steps until a customer in it is lost; None when it may never be.
    pub steps_to_loss: Vec<(LifeCycle, Option<f64>)>,
}

/// A number of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForecastRow {
    /// The number of the step, from 1; 0 for all steps together.
    pub step: u32,
    /// After when it begins.
    pub from: Time,
    /// When it ends; customers are counted then.
    pub to: Time,
    /// What is counted.
    pub measure: ForecastMeasure,
    /// What is expected.
    pub value: f64,
    /// The 95 % interval, of chance and of the parameters; None when it has no end.
    pub interval: Option<[f64; 2]>,
}

/// What a forecast counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForecastMeasure {
    /// Purchase days of those who have bought.
    Purchases,
    /// Their revenue, in minor units: neither discounted nor reduced to the margin.
    Revenue,
    /// The customers in a stage.
    Stage(LifeCycle),
}

impl ForecastMeasure {
    /// The name in tables and replies.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Purchases => "purchases".to_owned(),
            Self::Revenue => "revenue_minor".to_owned(),
            Self::Stage(stage) => format!("stage:{}", stage.name()),
        }
    }
}

/// How customers go from one stage to another, or stay in it, in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageTransition {
    /// The stage at the beginning.
    pub from: LifeCycle,
    /// The stage at the end.
    pub to: LifeCycle,
    /// How often it was counted.
    pub customers: u64,
    /// The share of those in `from`.
    pub probability: f64,
}

/// The 95 % interval of a number of 0 or more by its variance; None when that is not finite.
fn interval(value: f64, variance: f64) -> Option<[f64; 2]> {
    variance.is_finite().then(|| {
        let reach = Z95 * variance.max(0.0).sqrt();
        [(value - reach).max(0.0), value + reach]
    })
}
