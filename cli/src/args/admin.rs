//! The arguments of `tally admin`.

use std::path::PathBuf;

use clap::Subcommand;

/// The commands for who runs the server.
#[derive(Subcommand, Debug)]
pub enum AdminCommand {
    /// Copy the database of the server, which goes on serving, into a file here
    Backup {
        /// The copy, a SQLite database; it must not exist yet
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what the server runs with: currency, definitions of insight, and rules of early warning
    Settings,
}
