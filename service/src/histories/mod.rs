//! Histories: read from the store, kept warm, packed, and scanned customer by customer.

pub mod cache;
pub mod packing;
pub mod scan;
