//! Evaluation: how well probabilities predict outcomes, and how far a population has drifted.

pub mod drift;
pub mod intervals;
pub mod metrics;
