//! What is written: customers and interactions, one by one, in bulk, by many at a time, and across restarts.

mod attributes;
mod bulk;
mod contention;
mod corrections;
mod customers;
mod durability;
mod erasure;
mod export;
mod import;
mod interactions;
mod items;
mod merges;
mod retractions;
