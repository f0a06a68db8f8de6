//! The arguments of `tally interactions`.

use clap::{Args, Subcommand};

/// What to do with the interactions of a customer.
#[derive(Subcommand, Debug)]
pub enum InteractionsCommand {
    /// List the interactions of a customer, newest first
    List(ListInteractionsArgs),
    /// Retract interactions that did not happen; they do not count from now on, and earlier scores replay as they were
    Retract(RetractArgs),
}

/// Which interactions to list.
#[derive(Args, Debug)]
pub struct ListInteractionsArgs {
    /// The customer
    #[arg(value_name = "CUSTOMER")]
    pub customer_id: String,
    /// Retracted interactions, too
    #[arg(long)]
    pub retracted: bool,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// Which interactions to retract, and why.
#[derive(Args, Debug)]
pub struct RetractArgs {
    /// The customer under whose id they are stored
    #[arg(value_name = "CUSTOMER")]
    pub customer_id: String,
    /// The ids of the interactions
    #[arg(value_name = "INTERACTION", required = true)]
    pub interaction_ids: Vec<String>,
    /// The reason, for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}
