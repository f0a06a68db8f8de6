//! `tally insights`: what is known of customers, one by one and together.
//!
//! Each file has a command: its call and its page. Names that are too long for a page are cut; JSON has all of
//! them.

mod affinities;
mod attributes;
mod campaigns;
mod cohorts;
mod command;
mod customer;
mod forecast;
mod kpis;
mod members;
mod periods;
mod refresh;
mod reply;
mod rhythm;
mod sales;
#[cfg(test)]
pub(crate) mod samples;
mod segments;
mod value;

pub(crate) use command::run;
pub(crate) use reply::{currency, warnings};
