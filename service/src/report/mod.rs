//! The training report in three forms: text for the terminal, JSON for programs, and one HTML page with plots.
//!
//! All three show the result of a training and the model in it. The report knows neither the store nor the
//! network, and nothing but `tally-train` depends on it.

mod assessment;
mod coefficients;
pub mod json;
pub mod page;
mod plots;
mod recipe;
pub mod text;

#[cfg(test)]
mod tests;
