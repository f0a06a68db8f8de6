//! What the gauges found last, for those who wait for it.

use tally_model::time::Time;
use tokio::sync::watch;

use super::{MonthlyPerformance, PopulationDrift};
use crate::catalog::ModelName;

/// How far the score of a champion has drifted.
#[derive(Clone, Debug)]
pub struct ScoreDrift {
    /// The model.
    pub model: ModelName,
    /// The moment that its last population is about.
    pub as_of: Time,
    /// The PSI of the score between its training and that population.
    pub psi: f64,
    /// Whether so few customers are compared that chance alone may move them that far.
    pub may_be_chance: bool,
}

impl From<&PopulationDrift> for ScoreDrift {
    fn from(drift: &PopulationDrift) -> Self {
        let score = &drift.report.score;
        Self {
            model: drift.model,
            as_of: drift.population.as_of,
            psi: score.psi,
            may_be_chance: score.may_be_chance(),
        }
    }
}

/// How the champions are, as of the last time that it was looked at.
#[derive(Clone, Debug, Default)]
pub struct ModelHealth {
    /// How far their scores have drifted.
    pub drifts: Vec<ScoreDrift>,
    /// How the predictions about the last whole month turned out whose horizon has passed.
    pub months: Vec<MonthlyPerformance>,
}

/// Receives how the champions are, each time that it was looked at.
pub type HealthReceiver = watch::Receiver<ModelHealth>;
