//! The programs of Tally: a server, a trainer, a command-line client, and the rooms they share.

pub mod error;
pub mod limits;
pub mod store;
