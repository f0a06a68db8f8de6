//! The `tally` command as a person or a program runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod alerts;
mod audit;
mod customers;
mod fake;
mod help;
mod import;
mod import_checks;
mod import_conversions;
mod import_program;
mod insights;
mod interactions;
mod interrupts;
mod predictions;
mod score;
mod worklist;
