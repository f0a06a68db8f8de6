//! `tally`: the command-line client.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use tally_cli::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match tally_cli::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not `eprintln!`, which panics when standard error is closed.
            drop(writeln!(io::stderr(), "error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
