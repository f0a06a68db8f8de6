//! The model of Tally: histories become features, features a model, and the model scores customers.
//!
//! Everything is a pure function of its arguments; nothing here knows a database, a network or async. Each module
//! uses only those before it: [`counted()`], [`time`], [`spec`], [`history`], [`features`], [`label`], [`encode`], [`evaluation`],
//! [`artifact`], [`scoring`], [`training`]. [`insight`] and [`simulate`] know histories alone. [`Scorer`](scoring::Scorer) has an
//! example of the whole way.

pub mod artifact;
mod counted;
pub mod encode;
pub mod evaluation;
pub mod features;
pub mod history;
pub mod insight;
pub mod label;
mod linear;
mod newton;
pub mod parallel;
pub mod scoring;
pub mod simulate;
pub mod spec;
mod special;
pub mod time;
pub mod training;

pub use counted::{apart, counted};
