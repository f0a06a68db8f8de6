//! The arguments of `tally`, and with them its `--help`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};
use tonic::transport::{Endpoint, Uri};

mod admin;
mod alerts;
mod audit;
mod customers;
mod import;
mod insights;
mod interactions;
mod jobs;
mod models;
mod names;
mod predictions;
mod scoring;
mod token;
mod worklist;

pub use admin::AdminCommand;
pub use alerts::{AlertsCommand, AlertsListArgs, DeliveryArg};
pub use audit::{AuditCommand, AuditHash, AuditListArgs};
pub use customers::{CustomersCommand, DeleteCustomerArgs, MergeCustomersArgs};
pub use import::ImportArgs;
pub use insights::{
    AffinitiesArgs, AttributesArgs, CampaignsArgs, InsightsCommand, KpisArgs, MembersArgs, RangeArgs,
    SalesArgs, SegmentsArgs,
};
pub use interactions::{InteractionsCommand, ListInteractionsArgs, RetractArgs};
pub use jobs::JobsCommand;
pub use models::{ModelsCommand, PromoteArgs, RealisedArgs};
pub use names::{
    AbcArg, GradeArg, LifeCycleArg, MemberOrderArg, OnConflictArg, OrderArg, PeriodArg, TargetArg,
};
pub use predictions::{PredictionFilterArgs, PredictionsCommand};
pub use scoring::{ScoreAllArgs, ScoreArgs};
pub use token::{BearerToken, NewTokenArgs, ScopeArg, TokenCommand};
pub use worklist::{
    EffectArgs, EpisodesArgs, OutcomeArg, OutcomeArgs, PublishArgs, WorkKindArg, WorklistArgs,
    WorklistCommand,
};

const AFTER_HELP: &str = "\
With --json, standard output is nothing but JSON: one object per line for score, predictions lead|churn,
interactions list, models list|realised|history, insights members, worklist list|episodes, alerts list|watch,
audit list and customers export, a single object for the other commands.
Fields have the names of the contract (proto/tally/v1), times are RFC 3339, and enums are names without prefix
(LEAD, COLD, A). A customer that cannot be scored has the line {\"customer_id\": …, \"status\": …} in place of
its score.

Exit codes: 0 done; 1 failed, and may succeed later; 2 refused, for the arguments, the files or what is stored, or a
decision is needed; 129, 130 or 143 interrupted by SIGHUP, Ctrl-C or SIGTERM. Standard error has the reason.";

/// The command-line client of Tally: imports customers, scores them, and reads predictions and models.
#[derive(Parser, Debug)]
#[command(name = "tally", version, after_help = AFTER_HELP)]
pub struct Args {
    /// The server, and who calls it
    #[command(flatten)]
    pub server: ServerArgs,
    /// Print JSON, for programs
    #[arg(long, global = true, display_order = 105)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The server, and who calls it.
#[derive(ClapArgs, Debug)]
pub struct ServerArgs {
    /// The server, http://HOST:PORT or https://HOST:PORT
    #[arg(long, global = true, env = "TALLY_SERVER", value_name = "URL", display_order = 100,
          default_value = "http://127.0.0.1:50051", value_parser = server)]
    pub server: Endpoint,
    /// The token of the caller; others on this machine can read command lines, so better set the variable
    #[arg(
        long,
        global = true,
        env = "TALLY_TOKEN",
        value_name = "TOKEN",
        display_order = 101,
        hide_env_values = true
    )]
    pub token: Option<BearerToken>,
    /// The authorities that the server's certificate may come from, as PEM [default: the public ones]
    #[arg(long, global = true, env = "TALLY_CA", value_name = "FILE", display_order = 102)]
    pub ca: Option<PathBuf>,
    /// The certificate of the caller, for servers that ask for one; as PEM
    #[arg(
        long,
        global = true,
        env = "TALLY_CERT",
        value_name = "FILE",
        display_order = 103,
        requires = "key"
    )]
    pub cert: Option<PathBuf>,
    /// The key of that certificate; as PEM, without a passphrase
    #[arg(
        long,
        global = true,
        env = "TALLY_KEY",
        value_name = "FILE",
        display_order = 104,
        requires = "cert"
    )]
    pub key: Option<PathBuf>,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Import customers and interactions from CSV or .xlsx files; repeating an import is harmless
    Import(ImportArgs),
    /// Show, export, erase or merge customers
    #[command(subcommand)]
    Customers(CustomersCommand),
    /// List or retract the interactions of a customer
    #[command(subcommand)]
    Interactions(InteractionsCommand),
    /// Score customers, as of now or of an earlier time
    Score(ScoreArgs),
    /// Score all eligible customers and store the predictions
    ScoreAll(ScoreAllArgs),
    /// List stored predictions, recompute one, or compare two
    #[command(subcommand)]
    Predictions(PredictionsCommand),
    /// List models, show their cards and how they perform, choose which one serves
    #[command(subcommand)]
    Models(ModelsCommand),
    /// Show what is known of customers: facts, segments, key figures and reports
    #[command(subcommand)]
    Insights(InsightsCommand),
    /// Show what the servers do by themselves, when, and what came of it
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// List the customers to contact, hand lists out, and measure whether that helps
    #[command(subcommand)]
    Worklist(WorklistCommand),
    /// List or watch what the rules of early warning found, or say who takes care of it
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Back up the database of the server, or show its settings
    #[command(subcommand)]
    Admin(AdminCommand),
    /// List what was done and who was refused, or check that this log is whole
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Make tokens for callers of servers that check them
    #[command(subcommand)]
    Token(TokenCommand),
}

/// Reads the server's URL. Without this check, a missing scheme results in a misleading connection error.
fn server(url: &str) -> Result<Endpoint, String> {
    let is_server = |uri: &Uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && !authority.contains('@')
    };
    let uri = url.parse::<Uri>().ok().filter(is_server);
    uri.map(Endpoint::from).ok_or_else(|| {
        "give it as http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:50051".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::time;

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
    fn invalid_arguments_are_refused() {
        for line in [
            "tally import",
            "tally import --backfill",
            "tally import --interactions i.csv --time-zone Mars",
            "tally import --interactions i.csv --time-format dd.mm.yyyy",
            "tally import --interactions i.csv --encoding klingon",
            "tally import --interactions i.csv --delimiter ab",
            "tally import --interactions i.csv --on-conflict merge",
            "tally score churn",
            "tally score both C1",
            "tally score lead C1 --as-of yesterday",
            "tally predictions lead --limit 0",
            "tally predictions lead --grade E",
            "tally predictions both",
            "tally --server http://user:secret@127.0.0.1:1 models list",
            "tally predictions compare ID",
            "tally customers merge A",
            "tally interactions retract C1",
            "tally interactions list C1 --limit 0",
            "tally predictions lead --stage asleep",
            "tally predictions lead --abc D",
            "tally predictions lead --order revenue",
            "tally jobs",
            "tally jobs list --runs 0",
            "tally jobs list --runs 51",
            "tally insights",
            "tally insights refresh --as-of yesterday",
            "tally insights customer",
            "tally insights attributes --segment A",
            "tally insights attributes --segmentation abc",
            "tally insights segments",
            "tally insights segments abc --compare-to then",
            "tally insights members abc A --missing-value",
            "tally insights members abc --limit 0",
            "tally insights kpis --period hour",
            "tally insights kpis --time-zone Mars",
            "tally insights kpis --time-zone +08:00",
            "tally insights kpis --market-size 0",
            "tally insights sales --max-values 1001",
            "tally insights sales --max-values 0",
            "tally insights cohorts --from 2011-13-01",
            "tally insights campaigns --window-days 0",
            "tally insights campaigns --window-days 3651",
            "tally worklist",
            "tally worklist list urgent",
            "tally worklist list --limit 0",
            "tally worklist publish --as-of yesterday",
            "tally worklist outcome C1",
            "tally worklist outcome C1 at_risk",
            "tally worklist outcome C1 at_risk perhaps",
            "tally worklist episodes --customer",
            "tally worklist effect --from then",
            "tally audit",
            "tally audit list --limit 0",
            "tally audit verify --head abc",
            "tally alerts",
            "tally alerts ack",
            "tally alerts list --delivery lost",
            "tally alerts list --limit 0",
            "tally alerts watch --all --cursor C",
            "tally --server localhost:50051 models list",
            "tally --server ftp://localhost models list",
            "tally --server https://user@localhost models list",
            "tally --cert c.pem models list",
            "tally token",
            "tally token new --name crm",
            "tally token new --name crm --scopes all",
            "tally token new --name c/m --scopes read",
            "tally token new --scopes read",
        ] {
            assert!(Args::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
        assert!(Args::try_parse_from(["tally", "import", "--interactions", "i.csv"]).is_ok());
        assert!(
            Args::try_parse_from(["tally", "predictions", "lead", "--grade", "a", "--grade", "B"]).is_ok()
        );
    }
}
