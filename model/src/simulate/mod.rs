//! A simulated business whose truth is known: for the demo, the tests and the benchmarks.
//!
//! Every customer lives in continuous time. Its next act (a visit, a purchase, a complaint …) is decided by a
//! race of exponential clocks, whose rates are constant between two interactions and two starts of a
//! week. Two rates are the truth that a model is to find: how fast a lead converts ([`CONVERTING`]) and how fast
//! a buyer leaves ([`LEAVING`]), each a logistic function of covariates of the history at the start of the week.
//!
//! Exponential clocks have no memory. So the future of a customer can be drawn again from any moment, and
//! drawing it many times gives the true probability of what a model predicts.
//!
//! Everything is a pure function of the seed, the number of the customer and the bounds of the business. (To the
//! last bit on one machine; `exp` and `ln` may round differently on another.)

mod business;
mod customer;
mod event_log;
mod life;
mod names;
mod person;
mod sampler;
#[cfg(test)]
mod tests;
mod truth;

pub use business::Business;
pub use customer::{SimulatedCustomer, SimulatedInteraction, Week};
pub use truth::{CONVERTING, LEAVING, season};
