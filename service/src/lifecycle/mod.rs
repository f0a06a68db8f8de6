//! The life of a model: training, the gate, promotion and rollback, and the retention of predictions and interactions.

mod champion_state;
mod gate;
pub mod interaction_retention;
mod preview;
mod promotion;
mod refusal;
pub mod retention;
pub mod training;

pub use gate::{ChampionComparison, Gate, eligible, predicts};
pub use preview::{GradeCell, GradeChanges, PromotionPreview};
pub use promotion::{PromotionRequest, Promotions};
