//! customers.csv: from rows to stored customers.

mod check;
mod layout;
mod send;

#[cfg(test)]
mod tests;

pub(super) use check::check;
pub(super) use layout::CustomerLayout;
pub(super) use send::{CustomerOptions, send};
