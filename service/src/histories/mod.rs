//! Histories: read from the store, kept warm in memory, packed in the background, and scanned customer
//! by customer.

mod foreign_changes;
pub mod packing;
mod pending_reads;
pub mod scan;
mod survivors;
mod warm;

pub(crate) use survivors::Survivors;
pub use warm::{Histories, WarmHistory};
