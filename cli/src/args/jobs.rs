//! The arguments of `tally jobs`.

use clap::Subcommand;

/// What to see of the jobs.
#[derive(Subcommand, Debug)]
pub enum JobsCommand {
    /// List the jobs, when each is due, and what came of its last runs
    List {
        /// The most runs of each job
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(i32).range(1..=50))]
        runs: i32,
    },
}
