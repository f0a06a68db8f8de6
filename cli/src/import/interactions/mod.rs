//! interactions.csv: from rows to stored interactions.

mod feed;
mod layout;
mod send;

pub(super) use layout::InteractionLayout;
pub(super) use send::send;
