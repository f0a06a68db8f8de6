//! The arguments of `tally import`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

const AFTER_HELP: &str = "\
customers.csv:     customer_id, create_time (or created_at), any attributes. The column `name` is only for
                   people to read. A column of numbers becomes a number (007 is not one), a column of true
                   and false a boolean, any other a text. An empty field means that the customer does not
                   have the attribute. A row replaces all attributes stored for the customer.
interactions.csv:  interaction_id, customer_id, kind, occur_time (or occurred_at), and optionally amount
                   (decimal money such as 12.50, empty for none), channel and any properties; models learn
                   from properties that are numbers, such as units or minutes.
The order of the columns is free. Times are RFC 3339 or dates. Both files are read to the end and checked
before anything is sent.";

/// What to import.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("files").required(true).multiple(true), after_help = AFTER_HELP)]
pub struct ImportArgs {
    /// CSV file of customers
    #[arg(long, value_name = "FILE", group = "files")]
    pub customers: Option<PathBuf>,
    /// CSV file of interactions
    #[arg(long, value_name = "FILE", group = "files")]
    pub interactions: Option<PathBuf>,
    /// History from another system: treat each interaction as known since it happened
    #[arg(long)]
    pub backfill: bool,
}
