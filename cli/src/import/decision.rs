//! Whether to import what the checks have found.

use std::io::{self, BufRead, IsTerminal};

use super::findings::Findings;
use crate::{args::ImportArgs, error::ClientError, output};

/// Fails if the files are not to be imported: if rows are bad, unless they are left out, and if something is
/// doubtful, unless the user says that it is right.
pub(super) fn decide(args: &ImportArgs, findings: &Findings) -> Result<(), ClientError> {
    let skips = args.skip_bad.is_some();
    if findings.has_plainly_bad_rows() && !skips {
        return Err(bad_rows(findings));
    }
    if !findings.doubts.is_empty() && !args.yes && (args.check || !confirmed(findings, args.reads_stdin())?) {
        let remedy = match findings.bad_rows() > 0 && !skips {
            true => "--yes with --skip-bad FILE imports all but the bad rows",
            false => "--yes imports it all the same",
        };
        return Err(ClientError::Doubts { text: findings.doubts_text() + &findings.bad_rows_text(), remedy });
    }
    if findings.bad_rows() > 0 && !skips {
        return Err(bad_rows(findings));
    }
    Ok(())
}

fn bad_rows(findings: &Findings) -> ClientError {
    let text = findings.bad_rows_text() + &findings.doubts_text();
    ClientError::BadRows { count: findings.bad_rows(), text }
}

/// Asks on the terminal, if there is one.
fn confirmed(findings: &Findings, reads_stdin: bool) -> io::Result<bool> {
    if reads_stdin || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    output::remark(&format!("doubtful:{}{}", findings.doubts_text(), findings.bad_rows_text()));
    output::remark("Import it like this? [y/N]");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
