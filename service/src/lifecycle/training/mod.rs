//! The training of a model: histories from the store become snapshots, snapshots a model, and the model
//! the next version, promoted when it is better.

mod assess;
mod incumbent;
mod job;
mod lack_of_data;
mod matrix;
mod snapshots;
mod trainer;

pub use job::{ChampionDrift, JobError, Promote, PromotionDecision, TrainingJob, TrainingResult};
pub use trainer::Trainer;
