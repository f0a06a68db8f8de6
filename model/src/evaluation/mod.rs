//! Evaluation: how good probabilities are, and how far a population has moved.

pub mod drift;
pub mod metrics;
