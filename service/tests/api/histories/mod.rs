//! Histories: read from rows or packed, scanned customer by customer, and kept warm.

mod merges;
mod packing;
mod retracted;
mod samples;
mod scan;
mod warm;
