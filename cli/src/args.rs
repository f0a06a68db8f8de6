//! The arguments of `tally`.

use std::path::PathBuf;

use clap::{ArgGroup, Args as Arguments, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use tally_proto::v1;
use tonic::transport::{Endpoint, Uri};

use crate::time;

const JSON_HELP: &str = "\
With --json, standard output has nothing but JSON: one object a line for score, predictions lead|churn,
models list and models realised, one object for the others. The field names are those of the contract
With --json, standard output has nothing but JSON: one object for import, score-all and models show,
promote, rollback and preview; one object a line for score, predictions and models list and history. The field names are those of the contract
(proto/tally/v1), times are RFC 3339, enums are their names without prefix (LEAD, COLD, A). What
cannot be scored is a line {\"customer_id\": …, \"status\": …} in its place.

Exit codes: 0 all went well; 1 something failed, and standard error says what; 2 wrong arguments.";

/// The command-line client of Tally: imports customers, scores them, and reads predictions and models.
#[derive(Parser, Debug)]
#[command(name = "tally", version, after_help = JSON_HELP)]
pub struct Args {
    /// The server, http://HOST:PORT
    #[arg(long, global = true, env = "TALLY_SERVER", value_name = "URL", display_order = 100,
          default_value = "http://127.0.0.1:50051", value_parser = server)]
    pub server: Endpoint,
    /// Print JSON, for programs
    #[arg(long, global = true, display_order = 101)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// A target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    /// Leads that buy
    Lead,
    /// Customers that leave
    Churn,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Store customers and interactions from CSV files, plain or gzip; doing it again is harmless
    #[command(after_help = CSV_HELP)]
    Import(Import),
    /// Score customers now, or as of an earlier moment
    Score(Score),
    /// Score every eligible customer and store the predictions
    ScoreAll(ScoreAll),
    /// List stored predictions, compute one again, or compare two
    #[command(subcommand)]
    Predictions(Predictions),
    /// List models, show one's card, watch how they hold, choose which one serves
    #[command(subcommand)]
    Models(Models),
}

const CSV_HELP: &str = "\
customers.csv:     customer_id, create_time (or created_at), any attributes. A column `name` is for people
                   to read. A column of numbers becomes a number (007 is none), one of true and false a
                   boolean, any other text; an empty field means that the customer has none. A row replaces
                   all attributes that were stored of the customer.
interactions.csv:  interaction_id, customer_id, kind, occur_time (or occurred_at), and if you have them
                   amount (decimal money such as 12.50, empty for none), channel, any properties; models
                   learn from those that are numbers, such as units or minutes.
The order of the columns is free. Times are RFC 3339 or dates. Both files are read through and checked
before anything is sent.";

/// Where the rows come from.
#[derive(Arguments, Debug)]
#[command(group = ArgGroup::new("files").required(true).multiple(true))]
pub struct Import {
    /// CSV file of customers
    #[arg(long, value_name = "FILE", group = "files")]
    pub customers: Option<PathBuf>,
    /// CSV file of interactions
    #[arg(long, value_name = "FILE", group = "files")]
    pub interactions: Option<PathBuf>,
    /// History from another system: take each interaction as known when it happened
    #[arg(long)]
    pub backfill: bool,
}

/// Whom to score, and how.
#[derive(Arguments, Debug)]
pub struct Score {
    /// What to foretell
    #[arg(value_enum)]
    pub target: TargetName,
    /// The customers
    #[arg(value_name = "ID", required = true)]
    pub customer_ids: Vec<String>,
    /// The moment that the score is about [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// The model version, such as churn/7 [default: the champion]
    #[arg(long)]
    pub model: Option<String>,
    /// How many reasons to give, −1 for all
    #[arg(long, value_name = "N", default_value_t = 3, allow_negative_numbers = true)]
    pub max_reasons: i32,
    /// Also store the scores as predictions
    #[arg(long)]
    pub persist: bool,
}

/// How to score everybody.
#[derive(Arguments, Debug)]
pub struct ScoreAll {
    /// What to foretell
    #[arg(value_enum)]
    pub target: TargetName,
    /// The moment that the scores are about [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// The model version, such as churn/7 [default: the champion]
    #[arg(long)]
    pub model: Option<String>,
    /// Score one of so many parts of the customers, so that several machines share the run
    #[arg(long, value_name = "N", requires = "partition", default_value_t = 1,
          value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Which part: 0 to N - 1
    #[arg(long, value_name = "K", default_value_t = 0, value_parser = clap::value_parser!(i32).range(0..10_000))]
    pub partition: i32,
}

/// What to do with stored predictions.
#[derive(Subcommand, Debug)]
pub enum Predictions {
    /// List predictions of who buys
    Lead(Filter),
    /// List predictions of who leaves
    Churn(Filter),
    /// Compute a prediction again, from what was known then, and tell whether it is the same to the bit
    Replay {
        /// Its prediction_id, as --json shows it
        prediction_id: String,
    },
    /// Tell why two predictions of a customer differ: late data, behaviour, retraining
    Compare {
        /// The prediction_id of one, as --json shows it
        from: String,
        /// The prediction_id of the other
        to: String,
    },
}

/// Which predictions to list.
#[derive(Arguments, Debug)]
pub struct Filter {
    /// Least probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub min: Option<f64>,
    /// Greatest probability, 0 to 1
    #[arg(long, value_name = "P")]
    pub max: Option<f64>,
    /// Only this grade; may be repeated
    #[arg(long, value_enum, ignore_case = true)]
    pub grade: Vec<GradeName>,
    /// Only this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Only this model version, such as churn/7
    #[arg(long)]
    pub model: Option<String>,
    /// Earlier predictions too, not only the latest of each customer
    #[arg(long)]
    pub all: bool,
    /// What comes first: the greatest probability or the latest score
    #[arg(long, value_enum, default_value_t = Order::Probability)]
    pub order: Order,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// What to see of the models, or do with them.
#[derive(Subcommand, Debug)]
pub enum Models {
    /// List the stored models, newest first
    List {
        /// Only the models of this target
        #[arg(value_enum)]
        target: Option<TargetName>,
    },
    /// Show one model's card
    Show {
        /// A version such as churn/7, or churn for its champion
        name: String,
    },
    /// Show how far the last scored population is from what a model has learned from
    Drift {
        /// A version such as churn/7, or churn for its champion
        name: String,
    },
    /// Show how past predictions turned out, by month and model
    Realised {
        /// What was foretold
        #[arg(value_enum)]
        target: TargetName,
        /// Only this model version, such as churn/7
        #[arg(long)]
        model: Option<String>,
        /// Only predictions about this moment or a later one
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        from: Option<Timestamp>,
        /// Only predictions about an earlier moment
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        to: Option<Timestamp>,
    },
    /// Make a version the champion, if it is not worse than the present one on the same holdout
    Promote {
        /// A version such as churn/7
        name: String,
        /// Also when it is worse, or cannot be compared
        #[arg(long)]
        force: bool,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Go back to the champion before the present one
    Rollback {
        /// Whose champion
        #[arg(value_enum)]
        target: TargetName,
        /// Why, for the audit
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Show whose grade a promotion would change, and the money behind them
    Preview {
        /// A version such as churn/7
        name: String,
        /// The moment that the customers are graded about [default: now]
        #[arg(long, value_name = "TIME", value_parser = time::parse)]
        as_of: Option<Timestamp>,
    },
    /// List the moves of a champion, newest first
    History {
        /// Whose champion
        #[arg(value_enum)]
        target: TargetName,
    },
}

/// A grade on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GradeName {
    /// Best for the business
    #[value(name = "A")]
    A,
    /// Second quarter
    #[value(name = "B")]
    B,
    /// Third quarter
    #[value(name = "C")]
    C,
    /// Worst for the business
    #[value(name = "D")]
    D,
}

/// An order on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// The greatest probability first
    Probability,
    /// The latest score first
    ScoreTime,
}

impl From<GradeName> for v1::Grade {
    fn from(name: GradeName) -> Self {
        match name {
            GradeName::A => Self::A,
            GradeName::B => Self::B,
            GradeName::C => Self::C,
            GradeName::D => Self::D,
        }
    }
}

impl Order {
    /// What ListPredictions calls it.
    #[must_use]
    pub const fn order_by(self) -> &'static str {
        match self {
            Self::Probability => "probability desc",
            Self::ScoreTime => "score_time desc",
        }
    }
}

/// The target in the contract.
pub(super) const fn target(name: TargetName) -> v1::Target {
    match name {
        TargetName::Lead => v1::Target::Lead,
        TargetName::Churn => v1::Target::Churn,
    }
}

/// Reads the server's URL. A missing scheme would otherwise come out as a puzzling connection error.
fn server(url: &str) -> Result<Endpoint, String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    uri.map(Endpoint::from)
        .ok_or_else(|| "give it as http://HOST:PORT, such as http://127.0.0.1:50051".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn arguments_are_read() {
        let args =
            ["tally", "score", "churn", "C1", "C2", "--json", "--as-of", "2011-09-09", "--max-reasons", "-1"];
        let args = Args::try_parse_from(args).unwrap();
        assert!(args.json);
        let Command::Score(score) = args.command else { panic!("{:?}", args.command) };
        assert_eq!(score.customer_ids, ["C1", "C2"]);
        assert_eq!(score.as_of, time::parse("2011-09-09").ok());
        assert_eq!(score.max_reasons, -1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "tally import",
            "tally import --backfill",
            "tally score churn",
            "tally score both C1",
            "tally score lead C1 --as-of yesterday",
            "tally predictions lead --limit 0",
            "tally predictions lead --grade E",
            "tally predictions both",
            "tally predictions compare ID",
            "tally --server localhost:50051 models list",
            "tally --server https://localhost models list",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert!(Args::try_parse_from(["tally", "import", "--interactions", "i.csv"]).is_ok());
        assert!(
            Args::try_parse_from(["tally", "predictions", "lead", "--grade", "a", "--grade", "B"]).is_ok()
        );
    }
}
