//! What must hold for bytes of any kind, one function for each thing that reads bytes of others. Each takes the bytes and
//! panics when something does not hold; what the bytes mean, and whether they are refused, is its own matter.
//!
//! The programs in `fuzz_targets/` let libFuzzer look for such bytes, with `corpus/` to begin with; `tests/corpus.rs`
//! runs the same functions on the corpus and on mutations of it, as part of `./test`. `examples/corpus.rs` writes the
//! valid part of the corpus again.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how these functions say that something does not hold"
)]

mod artifact;
mod histories;
mod imports;
mod requests;
mod server;
mod specs;

/// Small models, one of each target.
const LEAD: &[u8] = include_bytes!("../corpus/artifact/lead");
const CHURN: &[u8] = include_bytes!("../corpus/artifact/churn");

pub use artifact::artifact;
pub use histories::histories;
pub use imports::imports;
pub use requests::{method_name, requests};
pub use server::Server;
pub use specs::specs;
