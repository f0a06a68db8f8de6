//! The arguments of `tally score` and `tally score-all`.

use clap::Args;
use jiff::Timestamp;

use super::TargetArg;
use crate::time;

/// Which customers to score, and how.
#[derive(Args, Debug)]
pub struct ScoreArgs {
    /// What to predict
    #[arg(value_enum)]
    pub target: TargetArg,
    /// The ids of the customers
    #[arg(value_name = "ID", required = true)]
    pub customer_ids: Vec<String>,
    /// Score as of this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// The model version, such as churn/7 [default: the champion]
    #[arg(long)]
    pub model: Option<String>,
    /// The number of reasons to show, -1 for all
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true)]
    pub max_reasons: i32,
    /// Also store the scores as predictions
    #[arg(long)]
    pub persist: bool,
}

/// How to score all customers.
#[derive(Args, Debug)]
pub struct ScoreAllArgs {
    /// What to predict
    #[arg(value_enum)]
    pub target: TargetArg,
    /// Score as of this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// The model version, such as churn/7 [default: the champion]
    #[arg(long)]
    pub model: Option<String>,
    /// Divide the customers into N partitions and score only one, so that several machines share the work
    #[arg(long, value_name = "N", requires = "partition", default_value_t = 1,
          value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// The partition to score, 0 to N - 1
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..10_000))]
    pub partition: i32,
}
