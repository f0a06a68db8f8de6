//! Scoring: the hot path from a history to a probability with its interval, grade and reasons.

mod calibrated;
mod effects;
mod golden;
mod prepared;
mod scorer;
mod tables;
mod view;

pub use calibrated::probability;
pub use effects::Effect;
pub(crate) use golden::golden_rows;
pub use prepared::PreparedScore;
pub use scorer::Scorer;
pub use view::{Grade, Reason, ReasonView, Score, ScoreView};
