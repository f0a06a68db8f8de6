//! What Tally knows: how histories become features, features a model, and a model scores.
//!
//! Data flows one way: history → features → design row → score. Nothing here knows a database, a
//! network or async; everything is a pure function of its arguments.

pub mod artifact;
pub mod encode;
pub mod evaluation;
pub mod features;
pub mod history;
pub mod label;
mod linear;
pub mod parallel;
pub mod scoring;
pub mod simulate;
pub mod spec;
pub mod time;
pub mod training;
