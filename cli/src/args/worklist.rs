//! The arguments of `tally worklist`.

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use tally_proto::v1::{Outcome, WorkKind};

use crate::time::{self, Moment};

/// What to do with the worklist.
#[derive(Subcommand, Debug)]
pub enum WorklistCommand {
    /// List the customers to contact, with the reason and the action
    List(WorklistArgs),
    /// Say that a list is handed out, so that its effect is measured from now on
    Publish(PublishArgs),
    /// Report what came of the action of a list that was handed out
    Outcome(OutcomeArgs),
    /// List what was handed out and is not over, and what came of it
    Episodes(EpisodesArgs),
    /// Show what actions did: who was on lists against who was held out from them
    Effect(EffectArgs),
}

/// Which items to list.
#[derive(Args, Debug)]
pub struct WorklistArgs {
    /// Only these kinds [default: all]
    #[arg(value_name = "KIND", value_enum)]
    pub kinds: Vec<WorkKindArg>,
    /// As of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// Customers who are held out, too
    #[arg(long)]
    pub include_held_out: bool,
    /// Items whose action is not known to bring more than it costs, too
    #[arg(long)]
    pub include_not_paying: bool,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// Which list is handed out.
#[derive(Args, Debug)]
pub struct PublishArgs {
    /// Only these kinds [default: all]
    #[arg(value_name = "KIND", value_enum)]
    pub kinds: Vec<WorkKindArg>,
    /// The list as of this time [default: the latest pass]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub as_of: Option<Timestamp>,
    /// Items whose action is not known to bring more than it costs, too, to measure its effect
    #[arg(long)]
    pub include_not_paying: bool,
}

/// What came of which action.
#[derive(Args, Debug)]
pub struct OutcomeArgs {
    /// The customer
    #[arg(value_name = "CUSTOMER")]
    pub customer_id: String,
    /// The kind of the item
    #[arg(value_name = "KIND", value_enum)]
    pub kind: WorkKindArg,
    /// What came of it
    #[arg(value_name = "OUTCOME", value_enum)]
    pub outcome: OutcomeArg,
    /// What was done [default: the action of the list]
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub action: String,
    /// A remark
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub note: String,
    /// When it happened, within the time of the list; a date is the end of that day, in UTC [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    pub at: Option<Moment>,
}

/// Which episodes to list.
#[derive(Args, Debug)]
pub struct EpisodesArgs {
    /// Only these kinds [default: all]
    #[arg(value_name = "KIND", value_enum)]
    pub kinds: Vec<WorkKindArg>,
    /// Only of this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Those whose time is over, too
    #[arg(long)]
    pub all: bool,
    /// Only those about whom nothing was reported, and who are not held out
    #[arg(long)]
    pub without_outcome: bool,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// Which lists are measured.
#[derive(Args, Debug)]
pub struct EffectArgs {
    /// Only these kinds [default: all]
    #[arg(value_name = "KIND", value_enum)]
    pub kinds: Vec<WorkKindArg>,
    /// Only lists as of this time and later [default: all time]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub from: Option<Timestamp>,
    /// Only lists as of before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub to: Option<Timestamp>,
}

/// A kind of work on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum WorkKindArg {
    /// Likely to leave
    AtRisk,
    /// Lost
    WinBack,
    /// Leads that are likely to buy
    HotLead,
    /// Important, and without a contact for long
    Neglected,
    /// A birthday or an anniversary is near
    CareDate,
}

/// What came of an action, on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum OutcomeArg {
    /// It was done
    Done,
    /// The customer was not reached
    NotReached,
    /// The customer did not want it
    Declined,
    /// Anything else
    Other,
}

impl WorkKindArg {
    /// The number of the kind in the contract.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::AtRisk => WorkKind::AtRisk.into(),
            Self::WinBack => WorkKind::WinBack.into(),
            Self::HotLead => WorkKind::HotLead.into(),
            Self::Neglected => WorkKind::Neglected.into(),
            Self::CareDate => WorkKind::CareDate.into(),
        }
    }
}

impl OutcomeArg {
    /// The number of the outcome in the contract.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Done => Outcome::Done.into(),
            Self::NotReached => Outcome::NotReached.into(),
            Self::Declined => Outcome::Declined.into(),
            Self::Other => Outcome::Other.into(),
        }
    }
}
