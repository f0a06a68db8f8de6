//! customers.csv: from rows to stored customers.

mod layout;
mod send;

pub(super) use layout::CustomerLayout;
pub(super) use send::send;
