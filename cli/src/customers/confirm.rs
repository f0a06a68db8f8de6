//! Asks before what cannot be undone.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::error::ClientError;

/// Asks a question on the terminal, on standard error, and returns whether the answer is yes.
///
/// # Errors
/// When standard input is no terminal, so that nobody can answer.
pub(super) fn confirm(question: &str) -> Result<bool, ClientError> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(ClientError::NotConfirmed(
            "standard input is no terminal, so nobody can be asked; --yes does it without asking",
        ));
    }
    let mut terminal = io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    input.lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].iter().any(|yes| answer.trim().eq_ignore_ascii_case(yes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" Yes \r\n"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("n\n") && !is_yes("yesterday\n"));
    }
}
