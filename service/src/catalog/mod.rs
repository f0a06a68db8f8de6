//! The catalog: the model versions by name, loaded and ready to score.

pub mod models;
