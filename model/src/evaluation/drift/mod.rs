//! Drift: how far the scored customers have moved from those at the training.
//!
//! In training a [`Reference`] keeps, for each feature and for the score, at most ten bins with their numbers of
//! rows, and one more bin for missing values. Its rows are the customers that would have been scored then. [`Counts`]
//! sorts a scored population into the same bins, and counts the values beyond what the model has learned from. A
//! [`DriftReport`] compares the two by effect sizes, not p-values: with many customers any difference is
//! significant, and few matter.
//!
//! All sums are of integers, so that the order of the rows changes no bit.

mod bins;
mod counts;
mod reference;
mod report;

pub use counts::Counts;
pub use reference::Reference;
pub use report::{Bin, DriftLevel, DriftReport, LARGE, MODERATE, Share, Shift};
