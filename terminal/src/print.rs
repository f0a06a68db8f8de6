//! Printing. Unlike `println!`, none of this panics when the reader has gone, and all text passes the escape.

use std::io::{self, Write};

use crate::{
    columns,
    escape::{json_escaped, lines_printable},
    wrap::wrapped,
};

/// Prints one or several lines of text to standard output.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    write_line(&lines_printable(text))
}

/// Prints one or several lines of text to standard output; on a terminal, lines that are longer than it is wide are
/// broken at spaces.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_wrapped(text: &str) -> io::Result<()> {
    let Some(columns) = columns() else { return print(text) };
    let lines: Vec<String> = text.split('\n').flat_map(|line| wrapped(line, columns)).collect();
    print(&lines.join("\n"))
}

/// Prints a line of JSON to standard output.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_json(json: &str) -> io::Result<()> {
    write_line(&json_escaped(json))
}

fn write_line(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}

/// Writes one or several lines to standard error: a remark or an error, which is not part of the output.
pub fn remark(text: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(io::stderr(), "{}", lines_printable(text)));
}
