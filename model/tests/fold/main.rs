//! The fold, the labels and the snapshots against a reference that is written from the documentation
//! of [`Measure`](tally_model::features::Measure) alone: it keeps unordered interactions, scans all of them for every
//! single feature, and shares no code with the crate. Both agree to the last bit on random histories whose events are
//! close to the edges of the windows, of `as_of` and of `known_at`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod agreement;
mod cases;
mod feature_edges;
mod features;
mod label_edges;
mod random;
mod reference;
