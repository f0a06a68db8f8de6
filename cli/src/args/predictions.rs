//! The arguments of `tally predictions`.

use clap::{Args, Subcommand};
use jiff::Timestamp;

use super::{AbcArg, GradeArg, LifeCycleArg, OrderArg};
use crate::time;

/// What to do with stored predictions.
#[derive(Subcommand, Debug)]
pub enum PredictionsCommand {
    /// List predictions of leads that buy
    Lead(PredictionFilterArgs),
    /// List predictions of customers that leave
    Churn(PredictionFilterArgs),
    /// Recompute a prediction from what was known then, and check that it is the same, bit for bit
    Replay {
        /// Its prediction_id, as --json shows it
        prediction_id: String,
    },
    /// Explain why two predictions of a customer differ: late data, behaviour, retraining
    Compare {
        /// The prediction_id of one, as --json shows it
        from: String,
        /// The prediction_id of the other
        to: String,
    },
}

/// Which predictions to list.
#[derive(Args, Debug)]
pub struct PredictionFilterArgs {
    /// Minimum probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub min: Option<f64>,
    /// Maximum probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub max: Option<f64>,
    /// Only this grade; may be repeated
    #[arg(long, value_enum, ignore_case = true)]
    pub grade: Vec<GradeArg>,
    /// Only customers in these stages of the life cycle, separated by commas; may be repeated
    #[arg(long, value_enum, value_delimiter = ',')]
    pub stage: Vec<LifeCycleArg>,
    /// Only customers of these ABC classes, separated by commas; may be repeated
    #[arg(long, value_enum, ignore_case = true, value_delimiter = ',')]
    pub abc: Vec<AbcArg>,
    /// Only customers of these RFM segments, such as champions, separated by commas; may be repeated
    #[arg(long, value_name = "SEGMENT", value_delimiter = ',')]
    pub rfm: Vec<String>,
    /// Only this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Only this model version, such as churn/7
    #[arg(long)]
    pub model: Option<String>,
    /// Only predictions about this moment, such as those of an earlier `tally score-all`, which names it
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// Earlier predictions too, not only the latest of each customer
    #[arg(long)]
    pub all: bool,
    /// The sort order
    #[arg(long, value_enum, default_value_t = OrderArg::Probability)]
    pub order: OrderArg,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}
