//! interactions.csv: from rows to stored interactions.

mod check;
mod feed;
mod layout;
mod remarks;
mod send;

#[cfg(test)]
mod tests;

pub(super) use check::check;
pub(super) use layout::InteractionLayout;
pub(super) use send::{UploadOptions, send};
