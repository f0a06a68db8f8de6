//! Training: histories become snapshots, and snapshots a fitted and evaluated model.

pub mod assessment;
mod baselines;
mod calibrate;
pub mod checks;
pub mod compare;
pub mod dataset;
pub mod design;
pub mod fit;
mod fitted_model;
mod pairs;
pub mod population;
mod selection;
pub mod slices;
pub mod snapshot;
pub mod split;
pub mod stacked;
pub mod train;

pub use selection::SelectionResult;
