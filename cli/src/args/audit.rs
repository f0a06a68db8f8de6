//! The arguments of `tally audit`.

use std::str::FromStr;

use clap::{Args, Subcommand};

/// What to do with the audit log.
#[derive(Subcommand, Debug)]
pub enum AuditCommand {
    /// List what was done and who was refused, newest first
    List(AuditListArgs),
    /// Check that no event was changed or taken out, by computing the chain of hashes again
    Verify {
        /// The head that an earlier run printed: the event that has it must still be there
        #[arg(long, value_name = "HASH")]
        head: Option<AuditHash>,
    },
}

/// Which events to list.
#[derive(Args, Debug)]
pub struct AuditListArgs {
    /// Only those about this customer, also after it was erased
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,
    /// How many to list
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

/// The hash of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHash(pub Vec<u8>);

impl FromStr for AuditHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "is no hash of the audit log; allowed are the 64 hexadecimal digits that verify prints";
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong);
        }
        let byte = |n: usize| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).map_err(|_| wrong);
        (0..32).map(byte).collect::<Result<_, _>>().map(Self)
    }
}
