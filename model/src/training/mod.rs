//! Training: histories become snapshots, and snapshots a fitted and evaluated model.

mod baselines;
mod calibrate;
pub mod compare;
pub mod dataset;
pub mod design;
pub mod fit;
mod fitted_model;
mod pairs;
mod selection;
pub mod snapshot;
pub mod split;
pub mod train;

pub use selection::SelectionResult;
