//! The `tally` command as a person or a program runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;
mod help;
mod import;
mod score;
