//! The arguments of `tally alerts`.

use clap::{Args, Subcommand, ValueEnum};
use tally_proto::v1::AlertDeliveryState;

/// What to do with alerts.
#[derive(Subcommand, Debug)]
pub enum AlertsCommand {
    /// List what the rules of early warning found, newest first
    List(AlertsListArgs),
    /// Print alerts as they arise, until interrupted
    Watch {
        /// Go on after this cursor, which --json prints with each alert
        #[arg(long, value_name = "CURSOR")]
        cursor: Option<String>,
        /// Begin with the oldest alert [default: print new ones only]
        #[arg(long, conflicts_with = "cursor")]
        all: bool,
    },
    /// Note that somebody takes care of an alert
    Ack {
        /// Its id
        #[arg(value_name = "ALERT_ID")]
        alert_id: String,
        /// What to say about it
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
}

/// Which alerts to list.
#[derive(Args, Debug)]
pub struct AlertsListArgs {
    /// Only those of the rule of this name
    #[arg(long, value_name = "NAME")]
    pub rule: Option<String>,
    /// Only those of this kind, such as grade_fell
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Only those about this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// Only those that nobody has acknowledged
    #[arg(long)]
    pub open: bool,
    /// Only those whose delivery by webhook is so far
    #[arg(long, value_name = "STATE")]
    pub delivery: Option<DeliveryArg>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeliveryArg {
    /// It is to be delivered
    Pending,
    /// The receiver has confirmed it
    Delivered,
    /// It was tried for a day, in vain
    Parked,
}

impl From<DeliveryArg> for AlertDeliveryState {
    fn from(state: DeliveryArg) -> Self {
        match state {
            DeliveryArg::Pending => Self::Pending,
            DeliveryArg::Delivered => Self::Delivered,
            DeliveryArg::Parked => Self::Parked,
        }
    }
}
