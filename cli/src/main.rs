//! `tally`: the command-line client.

use std::process::ExitCode;

use clap::Parser;
use tally_cli::Args;

#[tokio::main]
async fn main() -> ExitCode {
    match tally_cli::run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tally_terminal::remark(&format!("error: {error}"));
            ExitCode::from(error.exit_code())
        }
    }
}
