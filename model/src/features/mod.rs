//! Features: what is computed of a customer's history, by name and in order.
//!
//! To add a feature, add a variant to [`Measure`] with its name, its place in [`Plan::measures`] (and in
//! [`Plan::width`]), its value in [`Fold::row`](fold::Fold::row), and its sentence in [`explain`].

pub mod bg_nbd;
pub mod explain;
pub mod fold;
mod habits;
mod measure;
mod plan;
pub mod profile;

pub use habits::{Category, Habits};
pub use measure::{Measure, Scale, level_name};
pub use plan::{Forecast, Plan};
