//! The arguments of `tally token`.

use std::{convert::Infallible, fmt, str::FromStr};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;

use crate::time;

/// What to do with tokens.
#[derive(Subcommand, Debug)]
pub enum TokenCommand {
    /// Make a token, and print it with the entry for the server's token file; asks no server
    New(NewTokenArgs),
}

/// The token to make.
#[derive(Args, Debug)]
pub struct NewTokenArgs {
    /// Who will call with it: 1 to 64 of a-z, A-Z, 0-9 and ._-@; a token that replaces another one has its name
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub name: String,
    /// What the caller may do
    #[arg(long, value_enum, value_name = "SCOPE", value_delimiter = ',', required = true)]
    pub scopes: Vec<ScopeArg>,
    /// When it ends, such as 2027-01-31 [default: never]
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    pub expires: Option<Timestamp>,
}

/// A scope on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ScopeArg {
    /// Compute scores of given customers
    Score,
    /// Read what is stored, and what follows from it
    Read,
    /// Change what is stored of customers, and score or hand out all of them
    Write,
    /// Choose the models that serve, erase customers, and copy the database
    Admin,
}

impl ScopeArg {
    /// Its name in token files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Score => "score",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The limits of names in token files.
fn name(text: &str) -> Result<String, &'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let fine = (1..=64).contains(&text.len()) && text.chars().all(is_allowed);
    fine.then(|| text.to_owned()).ok_or("allowed are 1 to 64 of a-z, A-Z, 0-9 and ._-@")
}

/// A bearer token that is never shown.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// The token; None when it is empty, as of a variable that is set to nothing.
    pub(crate) fn secret(&self) -> Option<&str> {
        Some(self.0.trim()).filter(|token| !token.is_empty())
    }
}

/// Takes every text: an error of the arguments would repeat it.
impl FromStr for BearerToken {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}
