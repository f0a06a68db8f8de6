//! The arguments of `tally models`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::TargetArg;
use crate::time;

/// What to see of the models, or do with them.
#[derive(Subcommand, Debug)]
pub enum ModelsCommand {
    /// List the stored models, newest first
    List {
        /// Only the models of this target
        #[arg(value_enum)]
        target: Option<TargetArg>,
    },
    /// Show the card of a model
    Show {
        /// A version such as churn/7, or churn for its champion
        name: String,
    },
    /// Show the drift of the last scored population from the data that a model was trained on
    Drift {
        /// A version such as churn/7, or churn for its champion
        name: String,
        /// Only the features that drifted most
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        top: Option<u64>,
    },
    /// Show how past predictions turned out, by month and model
    Realised(RealisedArgs),
    /// Make a version the champion, if it is better than the current one on the same holdout
    Promote(PromoteArgs),
    /// Return to the champion before the current one
    Rollback {
        /// The target
        #[arg(value_enum)]
        target: TargetArg,
        /// The reason, for the audit log
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Show how many customers would change grade by a promotion, and how much they bought
    Preview {
        /// A version such as churn/7
        name: String,
        /// Grade the customers as of this time [default: now]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
    },
    /// List the changes of the champion, newest first
    History {
        /// The target
        #[arg(value_enum)]
        target: TargetArg,
    },
}

/// Which predictions to judge by what happened.
#[derive(Args, Debug)]
pub struct RealisedArgs {
    /// What was predicted
    #[arg(value_enum)]
    pub target: TargetArg,
    /// Only this model version, such as churn/7
    #[arg(long)]
    pub model: Option<String>,
    /// Only predictions as of this time or later
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub from: Option<Timestamp>,
    /// Only predictions as of a time before this
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub to: Option<Timestamp>,
}

/// Which model to promote, and why.
#[derive(Args, Debug)]
pub struct PromoteArgs {
    /// A version such as churn/7
    pub name: String,
    /// Even if it is not better than the champion, or cannot be compared
    #[arg(long)]
    pub force: bool,
    /// The reason, for the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
}
