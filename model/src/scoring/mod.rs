//! Scoring: the hot path from a history to a probability with its interval, grade and reasons.

mod prepared;
mod scorer;
mod tables;
mod view;

pub use prepared::PreparedScore;
pub use scorer::{Effect, Grade, Scorer, probability};
pub use view::{Reason, ReasonView, Score, ScoreView};
