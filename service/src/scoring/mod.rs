//! Scoring: scores on request and of a whole population, stored predictions, their replay, and the
//! explained change between two of them.

mod explained_change;
mod population;
mod predictions;
mod replay;
mod request;
mod score;
mod yield_budget;

pub use explained_change::{ExplainedChange, FeatureChange, LogOddsChange};
pub use population::{Population, PopulationProgress, PopulationScored};
pub use predictions::{PredictionExport, Predictions};
pub use replay::Replay;
pub use request::{ScoreRequest, ScoredCustomer, into_prediction};
pub use score::Scoring;

pub(crate) use population::{ModelRun, STORED_AT_ONCE, STORED_REASONS, Scored, ScoredChunk, was_known};
