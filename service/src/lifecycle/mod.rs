//! The life of a model: training, the gate, promotion and rollback, and what is removed when.

pub mod preview;
pub mod promotion;
pub mod retention;
pub mod training;
