//! Training: histories become snapshots, snapshots a fitted and evaluated model.

pub mod calibrate;
pub mod compare;
pub mod design;
pub mod fit;
pub mod pairs;
pub mod selection;
pub mod snapshot;
pub mod train;
