//! The flags of `tally-train`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use tally_model::{
    artifact::SplitKind,
    spec::{Spec, Target},
    time::Time,
};

use super::{DATABASE, EXIT_CODES, LogArgs, PoolArgs};
use crate::{
    lifecycle::training::Promote,
    platform::error::{Error, Result},
};

/// That both models or one of them are named, which the usage that is derived from the arguments does not say.
const USAGE: &str = "tally-train [OPTIONS] <TARGET>
       tally-train [OPTIONS] --all";

/// Trains a model on the stored interactions and stores it as the next version.
#[derive(Parser, Debug)]
#[command(name = "tally-train", version, after_help = EXIT_CODES, override_usage = USAGE)]
pub struct TrainArgs {
    /// What the model predicts
    #[arg(value_enum, required_unless_present = "all", conflicts_with = "all")]
    pub target: Option<TargetName>,
    /// Train both models, one after the other; one may fail without the other
    #[arg(long, env = "TALLY_ALL", conflicts_with_all = ["horizon_days", "matrix_out", "report_out"])]
    pub all: bool,
    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, env = "TALLY_DATABASE", hide_env_values = true, default_value = DATABASE)]
    pub database: String,
    /// How to connect
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Train as if it were this moment: nothing later is read [default: now]
    #[arg(long, env = "TALLY_AS_OF", value_name = "TIME")]
    pub as_of: Option<Time>,
    /// The horizon in days, in place of the one of the spec
    #[arg(long, env = "TALLY_HORIZON_DAYS", value_name = "DAYS")]
    pub horizon_days: Option<u32>,
    /// The spec, a TOML file
    #[arg(long, env = "TALLY_SPEC", value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// The holdout: the latest snapshots, or a random share of the customers
    #[arg(long, env = "TALLY_SPLIT", value_enum, default_value_t = SplitName::Temporal)]
    pub split: SplitName,
    /// Seed of all random choices
    #[arg(long, env = "TALLY_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Learn from one in N customers, chosen by a hash of their ids; for more data than memory holds
    #[arg(long, env = "TALLY_ONE_IN", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub one_in: u32,
    /// When the model becomes the champion
    #[arg(long, env = "TALLY_PROMOTE", value_enum, default_value_t = Promote::Auto)]
    pub promote: Promote,
    /// Show the holdout by the values of this attribute, too; may be repeated
    #[arg(long, env = "TALLY_BY", value_name = "ATTRIBUTE", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Write the raw training snapshots to this CSV file
    #[arg(long, env = "TALLY_MATRIX_OUT", value_name = "FILE.csv")]
    pub matrix_out: Option<PathBuf>,
    /// Write the report to this file: a page with plots when its name ends in .html, otherwise JSON
    #[arg(long, env = "TALLY_REPORT_OUT", value_name = "FILE.html|FILE.json")]
    pub report_out: Option<PathBuf>,
    /// How to log
    #[command(flatten)]
    pub log: LogArgs,
}

impl TrainArgs {
    /// The targets to train, in this order.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.target.map_or_else(|| Target::ALL.to_vec(), |target| vec![target.into()])
    }

    /// The spec to train with.
    ///
    /// # Errors
    /// Names the file and what is wrong with it.
    pub fn read_spec(&self) -> Result<Spec> {
        let mut spec = match &self.spec {
            None => Spec::default(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| error.to_string())
                .and_then(|text| Spec::parse(&text).map_err(|error| error.to_string()))
                .map_err(|error| Error::invalid(format!("the spec {}", path.display()), error))?,
        };
        if let (Some(days), Some(target)) = (self.horizon_days, self.target) {
            spec.set_horizon_days(target.into(), days);
            spec.validate().map_err(|error| Error::invalid("--horizon-days", error.to_string()))?;
        }
        Ok(spec)
    }
}

/// A target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    /// Leads that buy
    Lead,
    /// Customers that leave
    Churn,
}

impl From<TargetName> for Target {
    fn from(name: TargetName) -> Self {
        match name {
            TargetName::Lead => Self::Lead,
            TargetName::Churn => Self::Churn,
        }
    }
}

/// A kind of holdout on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    /// The latest snapshots; a random share when the data are too short for that
    Temporal,
    /// 30 % of the customers
    Random,
}

impl From<SplitName> for SplitKind {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Temporal => Self::Temporal,
            SplitName::Random => Self::Random,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_has_one_target_or_all() {
        let read = |line: &str| TrainArgs::try_parse_from(line.split(' '));
        assert_eq!(read("tally-train churn").unwrap().targets(), [Target::Churn]);
        assert_eq!(read("tally-train --all").unwrap().targets(), Target::ALL);
        for line in ["tally-train", "tally-train churn --all", "tally-train --all --report-out r.json"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
