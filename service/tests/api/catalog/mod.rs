//! Stored models: their cards, the champion that serves, and artifacts that cannot be read.

mod attribute_types;
mod cards;
mod champions;
mod damaged_models;
