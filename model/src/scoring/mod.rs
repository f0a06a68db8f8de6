//! Scoring: the hot path from a history to a probability with its interval, grade and reasons.

mod prepared;
mod scorer;
mod tables;
mod view;

pub use prepared::Standing;
pub use scorer::{Effect, Grade, Scorer, probability};
pub use view::{Reason, Score, Told, ToldReason};
