//! What Tally knows: how histories become features, features a model, and a model scores.
//!
//! Data flows one way: history → features → design row → score. Nothing here knows a database, a
//! network or async; everything is a pure function of its arguments.

pub mod artifact;
pub mod bg_nbd;
pub mod calibrate;
pub mod census;
pub mod choose;
pub mod compare;
pub mod design;
pub mod drift;
pub mod encode;
pub mod evaluate;
pub mod explain;
pub mod features;
pub mod fit;
pub mod fold;
pub mod history;
pub mod linear;
pub mod pairs;
pub mod parallel;
pub mod scorer;
pub mod simulate;
pub mod snapshot;
pub mod spec;
mod tables;
pub mod time;
pub mod train;
