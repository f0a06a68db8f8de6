//! The arguments of `tally customers`.

use clap::{Args, Subcommand};

/// What to do with a customer.
#[derive(Subcommand, Debug)]
pub enum CustomersCommand {
    /// Show a customer with its attributes
    Get {
        /// Its id, or one that is merged into it
        #[arg(value_name = "ID")]
        customer_id: String,
    },
    /// Print everything that is stored about a customer, as JSON, one object a line
    Export {
        /// Its id; all ids that are merged with it are exported, too
        #[arg(value_name = "ID")]
        customer_id: String,
    },
    /// Erase a customer and everything stored about it
    Delete(DeleteCustomerArgs),
    /// Say that two ids are one person, which cannot be undone; their histories count as one from now on, and
    /// earlier scores replay as they were
    Merge(MergeCustomersArgs),
}

/// Which customer to erase.
#[derive(Args, Debug)]
pub struct DeleteCustomerArgs {
    /// Its id; all ids that are merged with it are erased, too
    #[arg(value_name = "ID")]
    pub customer_id: String,
    /// Do not ask; needed where standard input is no terminal
    #[arg(long)]
    pub yes: bool,
}

/// Which customers are one.
#[derive(Args, Debug)]
pub struct MergeCustomersArgs {
    /// The id that disappears from lists
    pub from: String,
    /// The id that stays, with its name and attributes
    pub into: String,
    /// Do not ask; needed where standard input is no terminal
    #[arg(long)]
    pub yes: bool,
}
