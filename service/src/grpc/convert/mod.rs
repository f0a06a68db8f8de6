//! Conversions between the messages of the contract and domain values.

pub mod batch;
pub mod page;
pub mod response;
pub mod validator;
