//! The model card: what a person needs to judge a model.

mod assessment;
mod effects;
mod evaluation;
mod recipe;
mod selection;
mod stack;
mod summary;
#[cfg(test)]
mod tests;

pub(super) use summary::card;
